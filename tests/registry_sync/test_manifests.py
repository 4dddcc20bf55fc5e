"""What is taken for a manifest, and what is read from it."""

import json
from typing import Any

import pytest

from registry_sync.manifests import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_MANIFEST_BYTES,
    NON_DISTRIBUTABLE_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    ManifestError,
    Platform,
    is_digest,
    parse,
)
from tests.factories import (
    DOCKER_CONFIG,
    OCI_CONFIG,
    OCI_LAYER,
    descriptor,
    digest_of,
    encoded,
    make_image,
    some_digest,
)

CONFIG = descriptor(b"{}", OCI_CONFIG)
LAYER = descriptor(b"layer", OCI_LAYER)
FOREIGN = sorted(NON_DISTRIBUTABLE_TYPES)


def image(**changes: Any) -> dict[str, Any]:
    """Make an OCI image manifest; a member that is ``...`` is left out."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": CONFIG,
        "layers": [LAYER],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def index(**changes: Any) -> dict[str, Any]:
    """Make an OCI index."""
    child = descriptor(b"child", OCI_MANIFEST)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def nested(depth: int) -> Any:
    """Nest lists."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def refuse(content: bytes | dict[str, Any], media_type: str = OCI_MANIFEST) -> str:
    """Parse what must not be taken; return the error's code."""
    with pytest.raises(ManifestError) as error:
        parse(content if isinstance(content, bytes) else encoded(content), media_type)
    return error.value.code


class TestTaken:
    @pytest.mark.parametrize(
        ("document", "media_type"),
        [
            (image(), OCI_MANIFEST),
            (image(mediaType=...), OCI_MANIFEST),
            (image(mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
            (image(layers=[]), OCI_MANIFEST),
            (image(layers=...), OCI_MANIFEST),
            (image(layers=[LAYER, LAYER]), OCI_MANIFEST),
            (index(), OCI_INDEX),
            (index(mediaType=...), OCI_INDEX),
            (index(mediaType=DOCKER_LIST), DOCKER_LIST),
            (index(manifests=[]), OCI_INDEX),
            (image(something={"of": ["their", "own"]}), OCI_MANIFEST),
            (image(x=nested(60)), OCI_MANIFEST),
        ],
    )
    def test_what_the_specifications_allow(self, document: dict[str, Any], media_type: str) -> None:
        content = encoded(document)
        manifest = parse(content, media_type)
        assert manifest.digest == digest_of(content)
        assert manifest.content == content
        assert manifest.media_type == media_type

    def test_a_parameter_of_the_content_type_says_nothing(self) -> None:
        assert parse(encoded(image()), f"{OCI_MANIFEST}; charset=utf-8").media_type == OCI_MANIFEST

    def test_four_mebibytes_and_not_one_byte_more(self) -> None:
        content = encoded(image())
        content += b" " * (MAX_MANIFEST_BYTES - len(content))
        assert parse(content, OCI_MANIFEST).digest == digest_of(content)
        assert refuse(content + b" ") == "SIZE_INVALID"

    def test_a_thousand_layers_and_not_one_more(self) -> None:
        assert len(parse(encoded(image(layers=[LAYER] * 1000)), OCI_MANIFEST).layers) == 1000
        assert refuse(image(layers=[LAYER] * 1001)) == "MANIFEST_INVALID"


class TestRead:
    def test_an_image(self) -> None:
        manifest = parse(encoded(image(annotations={"a": "b"})), OCI_MANIFEST)
        assert manifest.config is not None
        assert (manifest.config.digest, manifest.config.size) == (digest_of(b"{}"), 2)
        assert [layer.digest for layer in manifest.layers] == [digest_of(b"layer")]
        assert manifest.annotations == {"a": "b"}
        assert (manifest.is_image, manifest.is_index) == (True, False)

    @pytest.mark.parametrize(
        ("config_type", "is_image"),
        [(OCI_CONFIG, True), (DOCKER_CONFIG, True), ("application/vnd.oci.empty.v1+json", False)],
    )
    def test_an_image_is_one_by_its_config(self, config_type: str, *, is_image: bool) -> None:
        document = image(config=descriptor(b"{}", config_type))
        assert parse(encoded(document), OCI_MANIFEST).is_image is is_image

    def test_an_index_with_platforms(self) -> None:
        platform = {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"}
        child = descriptor(b"child", OCI_MANIFEST, platform=platform, annotations={"k": "v"})
        manifest = parse(encoded(index(manifests=[child])), OCI_INDEX)
        assert manifest.is_index
        assert manifest.config is None
        assert manifest.children[0].platform == Platform("linux", "arm64", "v8")
        assert manifest.children[0].annotations == {"k": "v"}

    def test_a_subject_and_its_type(self) -> None:
        subject = descriptor(b"subject", OCI_MANIFEST)
        document = image(subject=subject, artifactType="application/vnd.example+json")
        manifest = parse(encoded(document), OCI_MANIFEST)
        assert manifest.subject_digest == digest_of(b"subject")
        assert manifest.artifact_type == "application/vnd.example+json"

    @pytest.mark.parametrize("media_type", FOREIGN)
    def test_a_foreign_layer_with_urls_may_be_absent(self, media_type: str) -> None:
        layer = descriptor(b"layer", media_type, urls=["https://example.com/layer"])
        (read,) = parse(encoded(image(layers=[layer])), OCI_MANIFEST).layers
        assert read.may_be_absent

    @pytest.mark.parametrize(
        ("media_type", "urls"), [(FOREIGN[0], []), (FOREIGN[0], None), (OCI_LAYER, ["https://e/x"])]
    )
    def test_no_other_layer_may_be_absent(self, media_type: str, urls: Any) -> None:
        layer = descriptor(b"layer", media_type, urls=urls)
        (read,) = parse(encoded(image(layers=[layer])), OCI_MANIFEST).layers
        assert not read.may_be_absent

    def test_texts_are_those_that_both_databases_can_keep(self) -> None:
        odd = "a\0b\ud800c"
        platform = {"os": odd, "architecture": odd, "variant": odd}
        child = descriptor(b"child", OCI_MANIFEST, platform=platform, annotations={odd: odd})
        content = json.dumps(
            index(manifests=[child], annotations={odd: odd}, artifactType=odd)
        ).encode()
        manifest = parse(content, OCI_INDEX)
        (read,) = manifest.children
        texts = [manifest.artifact_type, read.platform.os, *read.annotations.values()]
        texts += [*manifest.annotations, *manifest.annotations.values(), *read.annotations]
        for text in texts:
            assert "\0" not in text
            assert text.encode().startswith(b"ab")


class TestRefused:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"nothing",
            b"[]",
            b"null",
            b'"text"',
            b"\xff\xfe",
            b"\xef\xbb\xbf" + encoded(image()),
            encoded(image()) + b"{}",
            encoded(image(x=1)).replace(b"1", b"NaN"),
            encoded(image(x=1)).replace(b"1", b"Infinity"),
            b"[" * 100_000,
            b'{"a":' * 100_000,
        ],
    )
    def test_what_is_no_json_object(self, content: bytes) -> None:
        assert refuse(content) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        "content",
        [
            encoded(image()).replace(
                b'"schemaVersion": 2', b'"schemaVersion": 2, "schemaVersion": 2'
            ),
            encoded(image()).replace(b'"size": 2', b'"size": 2, "size": 3'),
            encoded(image(annotations={"a": "b"})).replace(b'"a"', b'"a": "", "\\u0061"'),
        ],
    )
    def test_a_key_twice_anywhere(self, content: bytes) -> None:
        assert refuse(content) == "MANIFEST_INVALID"

    @pytest.mark.parametrize("depth", [64, 500])
    def test_deep_nesting(self, depth: int) -> None:
        assert refuse(image(x=nested(depth))) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        "media_type",
        [
            "",
            "application/json",
            "text/html",
            "application/vnd.docker.distribution.manifest.v1+json",
        ],
    )
    def test_a_content_type_that_is_none_of_the_four(self, media_type: str) -> None:
        assert refuse(image(), media_type) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        ("document", "media_type"),
        [
            (image(), DOCKER_MANIFEST),
            (image(mediaType=DOCKER_MANIFEST), OCI_MANIFEST),
            (image(mediaType=...), DOCKER_MANIFEST),
            (index(mediaType=...), DOCKER_LIST),
            (image(mediaType=OCI_INDEX), OCI_INDEX),
            (index(mediaType=OCI_MANIFEST), OCI_MANIFEST),
            (image(mediaType=""), OCI_MANIFEST),
            (image(mediaType=None, schemaVersion=1), OCI_MANIFEST),
        ],
    )
    def test_a_media_type_that_differs(self, document: dict[str, Any], media_type: str) -> None:
        assert refuse(document, media_type) == "MANIFEST_INVALID"

    @pytest.mark.parametrize("version", [1, 3, "2", True, None, ...])
    def test_another_schema_version(self, version: Any) -> None:
        assert refuse(image(schemaVersion=version)) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        ("document", "media_type"),
        [
            (image(manifests=[]), OCI_MANIFEST),
            (index(layers=[]), OCI_INDEX),
            (index(config=CONFIG), OCI_INDEX),
            (index(manifests=...), OCI_INDEX),
            (image(config=...), OCI_MANIFEST),
        ],
    )
    def test_an_image_and_an_index_in_one(self, document: dict[str, Any], media_type: str) -> None:
        assert refuse(document, media_type) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        "digest",
        [
            "sha512:" + "0" * 128,
            "sha256:" + "0" * 63,
            "sha256:" + "A" * 64,
            "sha256:" + "0" * 64 + "\n",
            "md5:" + "0" * 32,
            "0" * 64,
            "",
            None,
            7,
        ],
    )
    def test_another_digest_than_sha256_anywhere(self, digest: Any) -> None:
        wrong = {**LAYER, "digest": digest}
        assert refuse(image(layers=[LAYER, wrong])) == "DIGEST_INVALID"
        assert refuse(image(config=wrong)) == "DIGEST_INVALID"
        assert refuse(image(subject=wrong)) == "DIGEST_INVALID"
        assert refuse(index(manifests=[wrong]), OCI_INDEX) == "DIGEST_INVALID"

    @pytest.mark.parametrize("size", [-1, 1.5, "2", True, None])
    def test_a_size_that_is_no_number_of_bytes(self, size: Any) -> None:
        assert refuse(image(layers=[{**LAYER, "size": size}])) == "MANIFEST_INVALID"

    @pytest.mark.parametrize("media_type", ["", None, 1, "a" * 256, "a\0b", "a\ud800", "a b\n"])
    def test_a_descriptors_media_type_that_is_none(self, media_type: Any) -> None:
        content = json.dumps(image(layers=[{**LAYER, "mediaType": media_type}])).encode()
        assert refuse(content) == "MANIFEST_INVALID"

    @pytest.mark.parametrize(
        "changes",
        [
            {"layers": {}},
            {"layers": "x"},
            {"layers": [[]]},
            {"layers": [None]},
            {"layers": [{**LAYER, "urls": "https://e"}]},
            {"layers": [{**LAYER, "urls": [1]}]},
            {"config": []},
            {"config": "x"},
            {"subject": "x"},
            {"subject": {}},
            {"annotations": []},
            {"annotations": {"a": 1}},
        ],
    )
    def test_a_member_of_the_wrong_shape(self, changes: dict[str, Any]) -> None:
        assert refuse(image(**changes)) in {"MANIFEST_INVALID", "DIGEST_INVALID"}


def test_docker_images_are_images_too() -> None:
    docker = make_image(is_docker=True)
    assert parse(docker.content, docker.media_type).is_image


@pytest.mark.parametrize(
    ("text", "expected"),
    [(some_digest("x"), True), (some_digest("x") + "\n", False), ("sha256:" + "g" * 64, False)],
)
def test_a_digest_is_sha256_and_64_hexadecimal_digits(text: str, *, expected: bool) -> None:
    assert is_digest(text) is expected
