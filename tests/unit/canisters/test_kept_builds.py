"""A compilation that tests keep is taken again only where the same sources and the same compiler would make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support import kept_builds
from support.kept_builds import CANISTERS, Files, digest, ingredients, kept_in, tried_once


class Build:
    """Makes another file each time."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Files:
        self.times += 1
        return {"a.wasm": b"build %d" % self.times, "a.did": b"service : {}"}


def test_the_same_build_is_made_once(tmp_path: Path) -> None:
    build = Build()
    made = [kept_in(tmp_path, "a backend", build) for _ in range(2)]
    assert made == [{"a.wasm": b"build 1", "a.did": b"service : {}"}] * 2
    assert kept_in(tmp_path, "another one", build)["a.wasm"] == b"build 2"


@pytest.mark.parametrize(
    "damage",
    [lambda content: content.replace(b"build 1", b"build 9"), lambda content: content[:-30], lambda content: b""],
    ids=["changed", "cut off", "empty"],
)
def test_a_kept_build_that_was_damaged_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    build = Build()
    kept_in(tmp_path, "a backend", build)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert kept_in(tmp_path, "a backend", build)["a.wasm"] == b"build 2"
    assert kept_in(tmp_path, "a backend", build)["a.wasm"] == b"build 2"


def test_the_oldest_builds_go(tmp_path: Path) -> None:
    build = Build()
    for number in range(12):
        kept_in(tmp_path, f"build {number}", build)
    assert len(list(tmp_path.iterdir())) == 8


def test_a_build_that_fails_is_not_kept(tmp_path: Path) -> None:
    def fails() -> Files:
        raise AssertionError("the compiler found an error")

    with pytest.raises(AssertionError):
        kept_in(tmp_path, "a backend", fails)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_is_tried_once_and_says_why() -> None:
    times = 0

    def fails() -> Files:
        nonlocal times
        times += 1
        raise AssertionError("Main.mo:3:5: error [M0001] a type error\nOther.mo:1:1: error [M0002] another one")

    with pytest.raises(pytest.fail.Exception, match=r"(?s)can't be built:\nMain.mo:3:5: .* another one$"):
        tried_once("a canister of errors", fails)
    for _ in range(3):
        with pytest.raises(
            pytest.fail.Exception, match=r"as an earlier test says in full: Main.mo:3:5: .* type error$"
        ):
            tried_once("a canister of errors", fails)
    assert times == 1


def test_all_sources_the_build_and_the_compiler_go_into_the_key() -> None:
    names = {str(path.relative_to(CANISTERS)) for path in ingredients() if CANISTERS in path.parents}
    sources = {str(path.relative_to(CANISTERS)) for path in CANISTERS.rglob("*.mo") if "node_modules" not in path.parts}
    assert len(sources) > 50
    assert names >= sources | {"build.js", "build-tests.js", "sources.js", "package-lock.json", "backend/backend.did"}
    compiler = CANISTERS / "node_modules" / "motoko"
    if compiler.is_dir():
        assert {path for path in compiler.rglob("*") if path.is_file()} <= set(ingredients())
    assert CANISTERS.parent / "scripts" / "build-canisters" in ingredients()


def test_another_content_or_name_of_any_file_is_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_builds, "CANISTERS", tmp_path / "canisters")
    file = tmp_path / "canisters" / "Main.mo"
    file.parent.mkdir()
    keys = []
    for content in ("actor {}", "actor { }"):
        file.write_text(content)
        keys.append(digest([file]))
    keys.append(digest([file.rename(file.with_name("Other.mo"))]))
    assert len(set(keys)) == 3
    assert digest([file.with_name("Other.mo")]) == keys[-1]
