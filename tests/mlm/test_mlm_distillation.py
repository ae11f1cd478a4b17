"""The task-agnostic student: what it is built of, what it learns from, and what becomes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_mlm_cache import opened
from torch import nn

import tiny
from mlm.tiny_mlm import DISTILL_PARAMS, OPTIMISER, STUDENT, TEACHER, distil, fill, teach
from pipestill.data.tables import open_table, read_columns
from pipestill.errors import ModelError, ParamsError
from pipestill.mlm.distillation import build_student
from pipestill.mlm.model import load_masked_lm, predict_masked
from pipestill.mlm.params import MlmDistillParams
from pipestill.mlm.settings import FILE, PARAMS
from pipestill.params import parse_section, read_params
from pipestill.students.params import BertLayersSpec, DistilbertSpec
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import load_classifier, save_classifier
from pipestill.training.callbacks import Callbacks
from pipestill.training.distillation import build_student as build_classifier
from pipestill.training.distillation import train_student
from pipestill.training.inputs import TrainingInputs
from pipestill.training.student_params import StudentParams

pytestmark = pytest.mark.filterwarnings(
    # accelerate's and torch's own, in this process only
    "ignore:.*lr_scheduler.step.*:UserWarning",
    "ignore:.*pin_memory.*:UserWarning",
)
ROOT = Path(__file__).parents[2]
KINDS = {"bert_layers": BertLayersSpec, "distilbert": DistilbertSpec}


def spec(kind: str, layers: list[int]) -> BertLayersSpec | DistilbertSpec:
    parsed: BertLayersSpec | DistilbertSpec = KINDS[kind].model_validate({"kind": kind, "layers": layers})
    return parsed


@contextmanager
def inputs_seen(kind: type[nn.Module]) -> Iterator[set[tuple[int, ...]]]:
    """The rows of token ids, padding aside, that embeddings of a kind are given while the block runs."""
    seen: set[tuple[int, ...]] = set()

    def look(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, kind) and module.num_embeddings == len(tiny.WORDS) + len(tiny.SPECIAL):
            seen.update(tuple(token for token in row if token) for row in inputs[0].tolist())

    handle = nn.modules.module.register_module_forward_pre_hook(look)
    yield seen
    handle.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_of_every_layer_says_what_its_teacher_says(taught: Path, kind: str) -> None:
    teacher = load_masked_lm(TEACHER).lm.model
    student, _ = build_student(spec(kind, [0, 1, 2, 3]), teacher)
    ids = torch.randint(5, 40, (2, 6), generator=torch.Generator().manual_seed(0))
    places = torch.tensor([1, 4, 9])
    with torch.inference_mode():
        expected = predict_masked(teacher, ids, torch.ones_like(ids), places)
        found = predict_masked(student, ids, torch.ones_like(ids), places)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.hidden, expected.hidden, atol=1e-5, rtol=1e-5)
    assert student.get_output_embeddings().weight is student.get_input_embeddings().weight


def test_a_student_s_layers_are_those_chosen_of_its_teacher(taught: Path) -> None:
    teacher = load_masked_lm(TEACHER).lm.model
    student, _ = build_student(spec("bert_layers", [1, 3]), teacher)
    assert student.config.num_hidden_layers == 2
    for mine, theirs in ((0, 1), (1, 3)):
        for name, tensor in teacher.bert.encoder.layer[theirs].state_dict().items():
            torch.testing.assert_close(student.bert.encoder.layer[mine].state_dict()[name], tensor, atol=0, rtol=0)


def test_a_teacher_of_which_no_such_student_can_be_made_is_refused(tmp_path: Path) -> None:
    teacher = load_masked_lm(tiny.save_base(tmp_path / "albert", "albert")).lm.model
    with pytest.raises(ModelError, match="bert_layers"):
        build_student(spec("bert_layers", [0]), teacher)


def test_teacher_and_student_see_the_same_masks(taught: Path) -> None:
    with inputs_seen(nn.Embedding) as by_teacher:
        fill()
    cache = opened()
    rows = {tuple(row) for row in open_table(Path("data/mlm/masks/train.parquet"))["input_ids"]}
    dev = {tuple(row) for row in open_table(Path("data/mlm/masks/dev.parquet"))["input_ids"]}
    with inputs_seen(nn.Embedding) as by_student:
        distil(cache, training=OPTIMISER | {"epochs": 2})
    assert by_teacher == rows
    assert by_student == rows | dev


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_learns_from_the_cache_and_twice_the_same(taught: Path, kind: str) -> None:
    fill(storage_dtype="float16")
    settings = {
        "architecture": {"kind": kind, "layers": [0, 3]},
        "training": OPTIMISER | {"epochs": 4, "learning_rate": 3e-3},
    }
    record = distil(opened(), "first", **settings).record
    first = (STUDENT / "model.safetensors").read_bytes()
    again = distil(opened(), "second", **settings).record
    assert again == record
    assert (STUDENT / "model.safetensors").read_bytes() == first
    assert record.epochs[-1].dev != record.before
    assert record.steps[-1].loss < record.steps[0].loss


def test_soft_targets_alone_bring_the_student_nearer_to_its_teacher(taught: Path) -> None:
    fill()
    cache = opened()
    weights = {"hard_weight": 0.0, "soft_weight": 1.0, "cosine_weight": 1.0}
    record = distil(cache, weights=weights, training=OPTIMISER | {"epochs": 6, "learning_rate": 3e-3}).record
    assert record.steps[-1].loss < 0.7 * record.steps[0].loss


def classifier_params(**changes: Any) -> StudentParams:
    section = {
        "seed": 1,
        "architecture": {"kind": "bert_layers", "layers": {"preset": "first", "num_layers": 2}},
        "vocabulary": {"kind": "full"},
        "embedding": {"kind": "full"},
        "init": STUDENT.as_posix(),
        "rows": "data/prepared/train.parquet",
        "targets": "data/prepared/train.parquet",
        "max_length": 24,
        "objective": [{"weight": 1.0, "loss": {"kind": "cross_entropy"}}],
        "training": OPTIMISER | {"selection_metric": "accuracy"},
    }
    parsed: StudentParams = parse_section({"s": section | changes}, "s", StudentParams)
    return parsed


def inputs(scratch: str) -> TrainingInputs:
    return TrainingInputs(
        labels=LabelSet(labels=("bad", "fine", "good")),
        table=open_table(Path("data/prepared/train.parquet")),
        dev=read_columns(Path("data/prepared/dev.parquet")),
        scratch=Path(".scratch") / scratch,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_begins_as_the_task_agnostic_student_and_trains_on_from_it(taught: Path, kind: str) -> None:
    fill()
    distil(opened(), architecture={"kind": kind, "layers": [0, 3]})
    params = classifier_params()
    begun = build_classifier(params, inputs("begun")).classifier.model.base_model.state_dict()
    encoder = load_masked_lm(STUDENT).lm.model.base_model.state_dict()
    for name, tensor in encoder.items():
        torch.testing.assert_close(begun[name], tensor, atol=0, rtol=0, msg=name)
    trained = train_student("s", params, inputs("trained"), Callbacks(lambda *_: None, lambda _: None))
    save_classifier(trained.classifier, Path("models/students/s"))
    after = load_classifier(Path("models/students/s")).model.base_model.state_dict()
    table = "embeddings.word_embeddings.weight"
    difference = np.abs(after[table].numpy() - encoder[table].numpy())
    assert 0 < difference.max() < 1, "it trained, and from these weights"


def test_a_student_that_learns_from_a_teacher_may_begin_so_too() -> None:
    soft = [{"weight": 1.0, "loss": {"kind": "logit_mse"}}]
    assert classifier_params(targets="data/logits", rows="data/transfer", objective=soft).init == STUDENT.as_posix()


class TestSettings:
    def test_the_params_as_they_are_fit(self) -> None:
        FILE.check(read_params(ROOT / PARAMS))

    def test_every_mistake_is_reported_at_once(self) -> None:
        content = read_params(ROOT / PARAMS)
        content["mlm_cache"]["k"] = 0
        content["mlm_distill"]["weights"]["alpha"] = 1.0
        content["more"] = {}
        del content["mlm_masks"]
        with pytest.raises(ParamsError) as caught:
            FILE.check(content)
        for word in ("4 value(s)", "mlm_cache.k", "weights.alpha", "more: no such section", "mlm_masks: the section"):
            assert word in str(caught.value)

    def test_other_architectures_are_refused(self) -> None:
        wrong = DISTILL_PARAMS | {"architecture": {"kind": "bilstm"}}
        with pytest.raises(ParamsError, match="architecture"):
            parse_section({"mlm_distill": wrong}, "mlm_distill", MlmDistillParams)


def test_a_teacher_without_a_base_s_head_can_be_distilled_whole(masked: Path) -> None:
    """From nothing to the student, as `make mlm` goes."""
    made = teach()
    card = fill().card
    assert 0 < card.mass_kept_fraction < 1
    record = distil(opened()).record
    assert not made.record.has_head
    assert record.num_parameters < sum(parameter.numel() for parameter in made.lm.model.parameters())
