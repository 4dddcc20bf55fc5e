"""The tables of registry_sync."""

from registry_sync.models.blobs import ArtifactBlob, Blob, ProjectBlob, RepositoryBlob
from registry_sync.models.catalog import (
    Artifact,
    ArtifactReference,
    ManifestBody,
    ProjectUsage,
    Repository,
    Tag,
    TagEvent,
)
from registry_sync.models.executions import (
    Execution,
    OutboxDelivery,
    QueuePause,
    Schedule,
    State,
    Task,
    TaskLog,
    Worker,
    WorkerHeartbeat,
)
from registry_sync.models.garbage import GarbageCounter, StorageEpoch
from registry_sync.models.home_pins import HomePin
from registry_sync.models.immutability import ImmutableRule
from registry_sync.models.labels import ArtifactLabel, Label
from registry_sync.models.layers import ImageAnalysis, LayerFrame, LayerIndex, LayerPolicy
from registry_sync.models.proxy_cache import (
    AbsentPart,
    BlobFetch,
    ProxyCache,
    ProxyCheck,
    ProxyDay,
    UpstreamState,
)
from registry_sync.models.replication import (
    RegistryCheck,
    RemoteRegistry,
    Replica,
    ReplicationChange,
    ReplicationPolicy,
)
from registry_sync.models.reports import ReportLine
from registry_sync.models.retention import (
    DigestInUse,
    RetentionOutcome,
    RetentionPolicy,
    TagPin,
)
from registry_sync.models.statistics import PullDay, PullTotal, PushDay
from registry_sync.models.storage import ProjectStorage, StorageSnapshot
from registry_sync.models.trash import TrashEntry

__all__ = [
    "AbsentPart",
    "Artifact",
    "ArtifactBlob",
    "ArtifactLabel",
    "ArtifactReference",
    "Blob",
    "BlobFetch",
    "DigestInUse",
    "Execution",
    "GarbageCounter",
    "HomePin",
    "ImageAnalysis",
    "ImmutableRule",
    "Label",
    "LayerFrame",
    "LayerIndex",
    "LayerPolicy",
    "ManifestBody",
    "OutboxDelivery",
    "ProjectBlob",
    "ProjectStorage",
    "ProjectUsage",
    "ProxyCache",
    "ProxyCheck",
    "ProxyDay",
    "PullDay",
    "PullTotal",
    "PushDay",
    "QueuePause",
    "RegistryCheck",
    "RemoteRegistry",
    "Replica",
    "ReplicationChange",
    "ReplicationPolicy",
    "ReportLine",
    "Repository",
    "RepositoryBlob",
    "RetentionOutcome",
    "RetentionPolicy",
    "Schedule",
    "State",
    "StorageEpoch",
    "StorageSnapshot",
    "Tag",
    "TagEvent",
    "TagPin",
    "Task",
    "TaskLog",
    "TrashEntry",
    "UpstreamState",
    "Worker",
    "WorkerHeartbeat",
]
