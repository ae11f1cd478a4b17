"""An ensemble through the real stages on tiny data: another base, another teacher, their mean, and its student."""

from copy import deepcopy
from pathlib import Path

import pytest

import sync_deps
from pipeline.tiny_pipeline import STUDENTS, TinyPipeline
from pipestill.logit_cache import read_stored

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_student_learns_from_a_ensemble_and_a_member_s_change_reruns_what_asks_it(
    built: TinyPipeline, tmp_path: Path
) -> None:
    pipeline = built.copy(tmp_path)
    params = pipeline.params()
    teacher = {name: deepcopy(params["finetune_teacher"][name]) for name in ("seed", "max_length", "head", "training")}
    params["more_bases"] = {"other": {"source": params["fetch"]["base"]}}
    params["more_teachers"] = {"second": teacher | {"base": "models/bases/other", "seed": 18}}
    params["ensembles"] = {"both": {"teachers": {"teacher": 1.0, "second": 3.0}}}
    params["students"]["bert_pruned"]["targets"] = "data/ensembles/both"
    pipeline.write_params(params)
    path = pipeline.root / "dvc.yaml"
    path.write_text(sync_deps.synced(path.read_text(), list(STUDENTS), ["second"]))
    ran = pipeline.repro("distill@bert_pruned")
    more = ["fetch_base@other", "finetune_more@second", "cache_more@second", "ensemble@both"]
    assert sorted(ran) == sorted(["check", *more, "distill@bert_pruned"])
    assert pipeline.repro("distill@bert_pruned") == []
    cards = [
        read_stored(pipeline.root / folder)
        for folder in ("data/logits", "data/more_logits/second", "data/ensembles/both")
    ]
    assert len({card.identity.num_rows for card in cards}) == 1

    pipeline.change("ensembles.both.teachers.second", 1.0)
    assert sorted(pipeline.repro("distill@bert_pruned")) == ["check", "distill@bert_pruned", "ensemble@both"]
    pipeline.change("cache_logits.features.sites", ["hidden:1"])
    ran = pipeline.repro("ensemble@both")
    assert "cache_logits" in ran
    assert "cache_more@second" not in ran, "only the first teacher's features are read"
    # A tiny base learns little: with a fitted head its frozen weights may be the best at every learning rate.
    pipeline.change("more_teachers.second.head", "random")
    assert sorted(pipeline.repro("distill@bert_pruned")) == [
        "cache_more@second",
        "check",
        "distill@bert_pruned",
        "ensemble@both",
        "finetune_more@second",
    ]
