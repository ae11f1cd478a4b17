"""What the contract of the losses is held against: every registered loss with settings, and invented inputs."""

from dataclasses import replace
from typing import Any, get_args

import torch
from pydantic import TypeAdapter
from torch import Tensor

from pipestill.losses._base import LossInputs
from pipestill.losses._features import Features, Sizes
from pipestill.losses.params import Loss, LossSpec
from pipestill.sites import Site
from pipestill.tasks.targets import NO_LABEL

SETTINGS: dict[str, Any] = {
    "temperature": 2.0,
    "layers": [[1, 1], [-1, -1]],
    "parts": ["query", "key", "value"],
    "relation_heads": 4,
    "student_layer": -1,
    "teacher_layer": -1,
}
ROWS, LABELS, TOKENS = 6, 5, 7
SIZES = Sizes(num_layers=3, hidden_size=16, num_heads=2)

ALL: list[type[LossSpec]] = list(get_args(get_args(Loss)[0]))
SOFT = [kind for kind in ALL if kind.asks_teacher]
OF_FEATURES = [kind for kind in ALL if kind.asks_features]


def name_of(kind: type[LossSpec]) -> str:
    name: str = get_args(kind.model_fields["kind"].annotation)[0]
    return name


def make(kind: type[LossSpec]) -> LossSpec:
    """A specification with every setting the class asks for."""
    settings = {name: SETTINGS[name] for name in kind.model_fields if name != "kind"}
    spec: LossSpec = TypeAdapter(kind).validate_python({"kind": name_of(kind), **settings})
    return spec


def features(seed: int, sizes: Sizes = SIZES) -> Features:
    generator = torch.Generator().manual_seed(seed)
    sites = [Site("hidden", layer) for layer in range(sizes.num_layers + 1)]
    sites += [
        site
        for layer in range(1, sizes.num_layers + 1)
        for site in (Site("query", layer), Site("key", layer), Site("value", layer))
    ]
    return Features(
        {site: torch.randn(ROWS, TOKENS, sizes.hidden_size, generator=generator).requires_grad_() for site in sites},
        sizes,
    )


def inputs(teacher: Sizes = SIZES) -> LossInputs:
    """A batch of rows of 7, 6, ... tokens, the last without a label."""
    generator = torch.Generator().manual_seed(3)
    label_ids = torch.randint(0, LABELS, (ROWS,), generator=generator)
    label_ids[-1] = NO_LABEL
    return LossInputs(
        student_logits=torch.randn(ROWS, LABELS, generator=generator).requires_grad_(),
        teacher_logits=torch.randn(ROWS, LABELS, generator=generator).requires_grad_(),
        label_ids=label_ids,
        attention_mask=(torch.arange(TOKENS) < torch.arange(TOKENS, TOKENS - ROWS, -1)[:, None]).long(),
        student_features=features(5),
        teacher_features=features(6, teacher),
    )


def mapped(given: Features | None, change: Any) -> Features | None:
    """Features with every tensor changed."""
    return given and Features({site: change(tensor) for site, tensor in given.tensors.items()}, given.sizes)


def some_rows(given: LossInputs, rows: slice) -> LossInputs:
    def cut(tensor: Tensor) -> Tensor:
        return tensor[rows]

    assert given.teacher_logits is not None
    assert given.attention_mask is not None
    return replace(
        given,
        student_logits=cut(given.student_logits),
        teacher_logits=cut(given.teacher_logits),
        label_ids=cut(given.label_ids),
        attention_mask=cut(given.attention_mask),
        student_features=mapped(given.student_features, cut),
        teacher_features=mapped(given.teacher_features, cut),
    )


def padded(given: LossInputs, more: int, value: float) -> LossInputs:
    """The same rows with `more` padding, and a value written wherever there is padding."""
    assert given.attention_mask is not None
    mask = torch.nn.functional.pad(given.attention_mask, (0, more))

    def pad(tensor: Tensor) -> Tensor:
        longer = torch.nn.functional.pad(tensor, (0, 0, 0, more))
        return torch.where(mask[..., None].bool(), longer, value)

    return replace(
        given,
        attention_mask=mask,
        student_features=mapped(given.student_features, pad),
        teacher_features=mapped(given.teacher_features, pad),
    )


def taught_by_itself(given: LossInputs) -> LossInputs:
    """The same batch, the teacher saying exactly what the student says."""
    return replace(given, teacher_logits=given.student_logits, teacher_features=given.student_features)


def gradient_size(tensors: list[Tensor]) -> float:
    return sum(tensor.grad.abs().sum().item() for tensor in tensors if tensor.grad is not None)


def all_of(logits: Tensor | None, given: Features | None) -> list[Tensor]:
    """Every tensor that a model gave."""
    return [tensor for tensor in (logits, *(given.tensors.values() if given else ())) if tensor is not None]
