"""Hidden-state capture: running a classifier and keeping hidden states, queries, keys and values.

Queries, keys and values are taken by hooks on the linear layers that make them, in the order in which they are called:
so a layer that is used several times (ALBERT) counts each time, and every implementation of attention is served. A
model's own `output_attentions` does not work with the fast implementations of attention.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipestill.errors import ModelError
from pipestill.losses._features import Features, Sizes
from pipestill.sites import Site

NAMES = {
    "query": ("query", "q_lin", "q_proj"),
    "key": ("key", "k_lin", "k_proj"),
    "value": ("value", "v_lin", "v_proj"),
}
"""Names of attention's linear layers in the supported encoders."""


def sizes_of(model: PreTrainedModel) -> Sizes:
    """Read the sizes of a classifier's encoder."""
    config = model.config
    return Sizes(
        num_layers=int(getattr(config, "num_hidden_layers", 0)),
        hidden_size=int(getattr(config, "hidden_size", 0)),
        num_heads=int(getattr(config, "num_attention_heads", 0)),
    )


class Recorder:
    """Runner of a model that keeps its features at some sites; without sites it only runs the model.

    Args:
        model: classifier to run.
        sites: sites whose features to keep.
    """

    def __init__(self, model: PreTrainedModel, sites: Collection[Site]) -> None:
        self._model = model
        self._sites = frozenset(sites)
        self._sizes = sizes_of(model)
        self._parts = sorted({site.part for site in self._sites} - {"hidden"})

    def run(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Float[Tensor, "batch label"], Features | None]:
        """Return the model's logits, and features `[batch, token, hidden]`; None where no site is kept.

        Raises:
            ModelError: the model does not have such sites.
        """
        if not self._sites:
            return self._model(input_ids=input_ids, attention_mask=attention_mask).logits, None
        found: dict[Site, Tensor] = {}
        hidden = any(site.part == "hidden" for site in self._sites)
        with self._hooks(found):
            output = self._model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=hidden)
        if hidden:
            states = output.hidden_states or ()
            self._check("hidden", len(states) - 1)
            found |= {Site("hidden", layer): state for layer, state in enumerate(states)}
        return output.logits, Features({site: found[site] for site in self._sites}, self._sizes)

    @contextmanager
    def _hooks(self, found: dict[Site, Tensor]) -> Iterator[None]:
        """Keep the outputs of attention's linear layers while the model runs."""
        calls = dict.fromkeys(self._parts, 0)

        def keep(part: Any) -> Callable[[nn.Module, Any, Tensor], None]:  # noqa: ANN401 (a member of Part)
            def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:  # noqa: ANN401 (torch's own)
                calls[part] += 1
                site = Site(part, calls[part])
                if site in self._sites:
                    found[site] = output

            return hook

        handles = [
            module.register_forward_hook(keep(part))
            for part in self._parts
            for name, module in self._model.named_modules()
            if name.rpartition(".")[2] in NAMES[part] and isinstance(module, nn.Linear)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for part, count in calls.items():
            self._check(part, count)

    def _check(self, part: str, layers: int) -> None:
        if layers != self._sizes.num_layers or not layers:
            raise ModelError(
                f"{type(self._model).__name__} does not show a {part} for each of its layers",
                found=f"{max(layers, 0)} for {self._sizes.num_layers} layers",
                next_step="choose a loss that reads no features for this student or teacher",
            )
