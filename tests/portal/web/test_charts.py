"""The page of what is no image: a Helm chart, any other artifact."""

from tests.conftest import Cast
from tests.factories import Image, descriptor, encoded, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

HELM = "application/vnd.cncf.helm.config.v1+json"
ARCHIVE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
OCI = "application/vnd.oci.image.manifest.v1+json"


def test_a_chart_shows_its_files_and_how_to_pull_it(cast: Cast, signed_in: SignedIn) -> None:
    config, archive = encoded({"name": "shop", "version": "1.2.0"}), b"archive"
    title = {"org.opencontainers.image.title": "shop-1.2.0.tgz<b>"}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": descriptor(config, HELM),
        "layers": [descriptor(archive, ARCHIVE, annotations=title)],
    }
    chart = Image(OCI, encoded(document), (config, archive))
    push_image(make_repository(cast.team, "shop"), chart, tag="1.2.0")
    page = text_of(signed_in(cast.bob).get("/p/team/shop/-/tags/1.2.0"))
    assert "<b>shop-1.2.0.tgz&lt;b&gt;</b>" in page
    assert ARCHIVE in page
    assert "helm pull" in page
    assert "h-layers" not in page


def test_an_image_keeps_its_layers(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team), tag="1.0")
    page = text_of(signed_in(cast.bob).get("/p/team/app/-/tags/1.0"))
    assert "h-layers" in page
    assert "h-files" not in page
