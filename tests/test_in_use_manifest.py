"""The CronJob for clusters: what it sends is what the API takes."""

import json
import subprocess

import yaml
from django.conf import settings

PODS = {
    "items": [
        {
            "metadata": {"namespace": "shop", "name": "web-1"},
            "status": {
                "containerStatuses": [
                    {"imageID": "registry.example/team/app@sha256:" + "a" * 64},
                    {"imageID": ""},
                ],
                "initContainerStatuses": [
                    {"imageID": "docker-pullable://registry.example/team/init@sha256:" + "b" * 64}
                ],
            },
        },
        {"metadata": {"namespace": "shop", "name": "pending"}, "status": {}},
    ]
}


def test_the_report_is_what_the_api_takes() -> None:
    documents = yaml.safe_load_all(
        (settings.BASE_DIR / "docs" / "deploy" / "in-use-cronjob.yaml").read_text()
    )
    (job,) = [document for document in documents if document["kind"] == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    script = container["args"][0]
    expression = script.split("'")[1]
    answer = subprocess.run(
        ["jq", "-c", "--arg", "cluster", "prod", expression],
        input=json.dumps(PODS),
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(answer.stdout)
    assert (report["cluster"], report["hours"]) == ("prod", 24)
    assert [entry["workload"] for entry in report["images"]] == ["shop/web-1", "shop/web-1"]
    assert all("@sha256:" in entry["image"] for entry in report["images"])
