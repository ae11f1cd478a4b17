"""Hidden-state capture for the cache: running the teacher over texts, and the size its features will take."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from pipestill.errors import CacheError
from pipestill.logit_cache import FeaturesParams, TeacherOutputs
from pipestill.precision import Precision
from pipestill.shards import StorageDtype, row_ends
from pipestill.sites import Site
from pipestill.teacher import TorchClassifier
from pipestill.teacher.forward import autocast
from pipestill.text.batching import collate, length_sorted_batches
from pipestill.text.tokenizer import encode
from pipestill.training.recorder import Recorder, sizes_of


def capture(
    teacher: TorchClassifier, texts: Sequence[str], params: FeaturesParams, *, batch_size: int, precision: Precision
) -> TeacherOutputs:
    """Run a teacher over texts, in batches of similar length, and keep logits and features.

    Args:
        teacher: model in evaluation mode.
        texts: any number of texts.
        params: features to keep, and of which tokens.
        batch_size: rows in one forward pass.
        precision: arithmetic of the teacher's matrix products.
    """
    rows = encode(teacher.tokenizer, texts)
    kept = [len(row) if params.tokens == "all" else 1 for row in rows]
    ends = row_ends(kept)
    logits = np.empty((len(rows), teacher.labels.num_labels), dtype=np.float32)
    width = sizes_of(teacher.model).hidden_size
    features = {site: np.empty((ends[-1], width), dtype=np.float32) for site in params.sites}
    recorder = Recorder(teacher.model, [Site.parse(site) for site in params.sites])
    device = teacher.model.device
    with torch.inference_mode(), autocast(precision, device):
        for batch in length_sorted_batches([len(row) for row in rows], batch_size):
            inputs = collate([rows[row] for row in batch], teacher.tokenizer.pad_token_id)
            output, found = recorder.run(inputs["input_ids"].to(device), inputs["attention_mask"].to(device))
            logits[batch] = output.float().cpu().numpy()
            for site, tensor in found.tensors.items() if found else ():
                values = tensor.float().cpu().numpy()
                for place, row in enumerate(batch):
                    features[str(site)][ends[row] : ends[row + 1]] = values[place, : kept[row]]
    return TeacherOutputs(logits, np.array(kept, dtype=np.int32), features)


def check_size(
    teacher: TorchClassifier, params: FeaturesParams, storage_dtype: StorageDtype, texts: Iterable[Sequence[str]]
) -> int:
    """Check that the features fit into the limit of params.yaml.

    Args:
        teacher: model whose features are kept.
        params: sites to keep, and the largest size in bytes.
        storage_dtype: type of the stored numbers.
        texts: all texts, in parts.

    Raises:
        CacheError: the features exceed the limit, or the teacher lacks a site.
    """
    sizes = sizes_of(teacher.model)
    if wrong := [site for site in params.sites if Site.parse(site).layer > sizes.num_layers]:
        raise CacheError(
            "features.sites names a layer that the teacher does not have",
            found=", ".join(wrong),
            expected=f"layers up to {sizes.num_layers}",
            next_step="correct features.sites of cache_logits in params.yaml",
        )
    num_tokens = sum(
        len(part) if params.tokens == "first" else sum(len(row) for row in encode(teacher.tokenizer, part))
        for part in texts
    )
    size = num_tokens * sizes.hidden_size * np.dtype(storage_dtype).itemsize * len(params.sites)
    what = f"features at {', '.join(params.sites)} of {num_tokens} tokens will take {size / 1e6:.1f} MB"
    print(f"cache_logits: {what}", flush=True)
    if size > params.max_bytes:
        raise CacheError(
            what,
            found=f"{size} bytes",
            expected=f"at most features.max_bytes, {params.max_bytes}",
            next_step="keep fewer sites or `tokens: first`, or raise max_bytes of cache_logits in params.yaml",
        )
    return size
