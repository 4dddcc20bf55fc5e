"""Figures for Prometheus, for programs on this machine only: nginx's callers get 404."""

import datetime
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from registry_sync import dispatch, garbage, garbage_figures, queues, relay
from registry_sync.garbage_counters import Counter
from registry_sync.models import ProxyDay, RemoteRegistry, ReplicationPolicy
from registry_sync.proxy_cache import figures
from registry_sync.replication import lag

_ENDS = ("succeeded", "failed", "stopped")


class Jobs:
    """Asks the tables at each scrape: any web process tells the same."""

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of queues, workers, ended tasks and the outbox."""
        found = queues.figures(dispatch.KINDS)
        for name, text, value in (
            ("queued", "Tasks that wait.", lambda queue: queue.queued),
            ("running", "Tasks that a worker holds.", lambda queue: queue.running),
            ("queue_age_seconds", "How long the first has waited.", lambda queue: queue.age),
            ("queue_paused", "1 where a kind is paused.", lambda queue: int(queue.is_paused)),
        ):
            family = GaugeMetricFamily(f"moorage_jobs_{name}", text, labels=["kind"])
            for queue in found:
                family.add_metric([queue.kind], value(queue))
            yield family
        yield from _history()
        yield _single("moorage_workers", "Workers that live.", len(queues.workers()))
        waiting = relay.waiting().count()
        yield _single("moorage_outbox_waiting", "Events not delivered yet.", waiting)
        dead = relay.dead().count()
        yield _single("moorage_outbox_dead", "Events that were given up.", dead)


class Collection:
    """How garbage collection stands."""

    def collect(self) -> Iterator[Metric]:
        """Yield what should be nothing, or short."""
        found = garbage_figures.health(garbage.KIND)
        for name, text, value in (
            (
                "oldest_removal_seconds",
                "How long ago the oldest unfinished removal began.",
                found.oldest_removal,
            ),
            ("removals", "Digests that are being removed.", found.removals),
            ("tombstones", "Digests that are gone and not forgotten yet.", found.tombstones),
            (
                "unconfirmed_links",
                "Links that the last collection found announced before the grace and never seen.",
                found.unconfirmed_links,
            ),
            (
                "drift",
                "What the last consistency check found and the last reconciliation left.",
                found.drift,
            ),
        ):
            yield GaugeMetricFamily(f"moorage_garbage_{name}", text, value=value)
        for counter in Counter:
            yield CounterMetricFamily(
                f"moorage_garbage_{counter.value}", counter.label, value=found.counts[counter]
            )


class Replication:
    """How far behind copies are."""

    def collect(self) -> Iterator[Metric]:
        """Yield figures of each policy, and which registries answer."""
        policies = list(ReplicationPolicy.objects.filter(is_enabled=True).order_by("pk"))
        lags = lag.of(policies)
        now = timezone.now()
        for name, text, value in (
            ("waiting", "Changes that were heard of and not looked at.", lambda at: at.waiting),
            ("waiting_seconds", "How long the first one waits.", lambda at: _since(now, at.since)),
            (
                "success_age_seconds",
                "How long ago the last run began that copied everything.",
                lambda at: _since(now, at.succeeded_at),
            ),
        ):
            family = GaugeMetricFamily(f"moorage_replication_{name}", text, labels=["policy"])
            for policy in policies:
                found = value(lags[policy.pk])
                if found is not None:
                    family.add_metric([policy.name], found)
            yield family
        up = GaugeMetricFamily(
            "moorage_registry_up", "1 where another registry answered last.", labels=["registry"]
        )
        asked = RemoteRegistry.objects.exclude(checked_at=None).order_by("pk")
        for remote in asked:
            up.add_metric([remote.name], int(remote.status == RemoteRegistry.Status.HEALTHY))
        yield up


class Proxies:
    """What projects that another registry fills served and fetched."""

    def collect(self) -> Iterator[Metric]:
        """Yield the sums of the days that are kept, by project."""
        rows = ProxyDay.objects.filter(project__deleted_at=None).order_by("project__name")
        sums = {f"n_{name}": Sum(name) for name in figures.COLUMNS}
        summed = rows.values("project__name").annotate(**sums)
        found: list[dict[str, Any]] = [dict(row) for row in summed]
        for name, text in _PROXIED.items():
            family = CounterMetricFamily(f"moorage_proxy_{name}", text, labels=["project"])
            for row in found:
                family.add_metric([row["project__name"]], row[f"n_{name}"])
            yield family


_PROXIED = {
    "hits": "Manifests and blobs that were here when they were asked for.",
    "misses": "Manifests and blobs that had to be fetched.",
    "hit_bytes": "Bytes served that did not have to be fetched.",
    "fetched_bytes": "Bytes that came from the upstream.",
    "upstream_requests": "Requests to the upstream.",
    "upstream_errors": "Requests that the upstream did not answer as it should.",
    "stale": "Answers from here because the upstream did not answer.",
}


def _since(now: datetime.datetime, at: datetime.datetime | None) -> float | None:
    return (now - at).total_seconds() if at else None


def _history() -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "moorage_jobs_ended", "Tasks of the kept history, by their end.", labels=["kind", "state"]
    )
    taken = GaugeMetricFamily(
        "moorage_jobs_lease_takeovers", "Tasks taken from dead or hung workers.", labels=["kind"]
    )
    for row in queues.totals():
        for state in _ENDS:
            ended.add_metric([row["kind"], state], row[state])
        taken.add_metric([row["kind"]], row["takeover"])
    yield ended
    yield taken


def _single(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a program on this machine that asks the web process itself."""
    # nginx adds X-Real-IP to whatever it passes on.
    if "HTTP_X_REAL_IP" in request.META or not _is_loopback(request.META["REMOTE_ADDR"]):
        raise Http404
    registry = CollectorRegistry()
    registry.register(Jobs())
    registry.register(Collection())
    registry.register(Replication())
    registry.register(Proxies())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
