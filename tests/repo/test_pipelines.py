"""The pipelines beside the main one: each in a folder of its own, none in the way of another."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipestill.registry.releases import CHAMPION_FOLDER, CHOICE
from repo.test_dependencies import PIPELINES, ROOT

OTHERS = [folder for folder in PIPELINES if folder != "."]
OUTS = ("data", "models", "metrics", "reports")

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, which DVC's index uses


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """Every stage of every pipeline, as DVC reads the files that say what depends on what."""
    folder = tmp_path_factory.mktemp("definitions")
    for pipeline in PIPELINES:
        for name in ("dvc.yaml", "params.yaml"):
            (folder / pipeline).mkdir(parents=True, exist_ok=True)
            (folder / pipeline / name).write_text((ROOT / pipeline / name).read_text())
    with Repo.init(str(folder), no_scm=True) as repo:
        repo.index.check_graph()
        yield list(repo.index.stages)


def of(stages: list[Any], pipeline: str) -> list[Any]:
    return [stage for stage in stages if Path(stage.path_in_repo).parent == Path(pipeline)]


def test_no_two_stages_share_a_name() -> None:
    """A run record and a run go by the stage's name; another pipeline's stages begin with the pipeline's."""
    names = [name for stages in PIPELINES.values() for name in stages]
    assert len(names) == len(set(names))
    for pipeline in OTHERS:
        assert all(name.startswith(f"{Path(pipeline).name}_") for name in PIPELINES[pipeline])


def test_the_main_pipeline_depends_on_no_other(stages: list[Any]) -> None:
    made_by_others = {out.def_path for pipeline in OTHERS for stage in of(stages, pipeline) for out in stage.outs}
    read = {dep.def_path for stage in of(stages, ".") for dep in stage.deps}
    assert made_by_others & read == set()


def test_the_champion_s_folder_is_made_from_the_choice_that_a_release_looks_at(stages: list[Any]) -> None:
    """Else `release_tags` would hold nothing against nothing."""
    report, package = ({stage.name: stage for stage in stages}[name] for name in ("report", "package"))
    assert CHOICE in {out.def_path for out in report.outs}
    assert CHOICE in {dep.def_path for dep in package.deps}
    assert CHAMPION_FOLDER.as_posix() in {out.def_path for out in package.outs}


@pytest.mark.parametrize("pipeline", OTHERS)
class TestEveryOtherPipeline:
    def test_its_stages_run_in_the_repository_s_root(self, pipeline: str) -> None:
        assert {stage["wdir"] for stage in PIPELINES[pipeline].values()} == {"../.."}

    def test_its_outs_lie_in_folders_of_its_own(self, stages: list[Any], pipeline: str) -> None:
        own = tuple(f"{folder}/{Path(pipeline).name}" for folder in OUTS)
        outs = [out.def_path for stage in of(stages, pipeline) for out in stage.outs]
        assert outs
        assert [out for out in outs if not f"{out}/".startswith(tuple(f"{each}/" for each in own))] == [
            f"runs/{stage.name.replace('@', '-')}.json" for stage in of(stages, pipeline)
        ]

    def test_what_its_stages_read_is_made_by_some_stage_or_tracked_by_git(
        self, stages: list[Any], pipeline: str
    ) -> None:
        made = {out.def_path for stage in stages for out in stage.outs}
        deps = {
            dep.def_path
            for stage in of(stages, pipeline)
            for dep in stage.deps
            if not isinstance(dep, ParamsDependency)
        }
        listed = subprocess.run(
            ["git", "ls-files", "--others", "--cached", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        files = listed.stdout.splitlines()
        folders = {parent.as_posix() for file in files for parent in Path(file).parents}
        assert deps - made - {*files, *folders} == set()

    def test_every_section_of_its_params_is_read_by_a_stage_and_no_other_is(
        self, stages: list[Any], pipeline: str
    ) -> None:
        sections = set(YAML(typ="safe", pure=True).load((ROOT / pipeline / "params.yaml").read_text()))
        found = [dep for stage in of(stages, pipeline) for dep in stage.deps if isinstance(dep, ParamsDependency)]
        read = {(dep.def_path, name.split(".")[0]) for dep in found for name in dep.params}
        own = f"{pipeline}/params.yaml"
        assert {name for path, name in read if path == own} | ({*sections} if _whole(found, own) else set()) == sections
        main = set(YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text()))
        assert {name for path, name in read if path == "params.yaml"} <= main
        assert {path for path, _ in read} <= {own, "params.yaml"}


def _whole(found: list[Any], path: str) -> bool:
    """Whether some stage reads a params file as a whole."""
    return any(dep.def_path == path and not dep.params for dep in found)
