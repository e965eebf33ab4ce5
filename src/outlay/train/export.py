"""Turn a checkpoint into package data and test fixtures: `python -m outlay.train.export --out DIR`.

Writes the weights in fp16 and the tokenizer into the package, and what other implementations say about them
into the fixtures of the tests: logits of `transformers.Qwen3ForCausalLM`, ids of the `tokenizers` package.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from outlay.pocket import chain_problems, countdown_problems
from outlay.pocket.model import CONTEXT, EPSILON, HEAD_DIM, HEADS, HIDDEN, LAYERS, MLP, THETA
from outlay.pocket.problems import chain_trace
from outlay.pocket.tokenizer import BOS, EOS, PAD, SHORT, THINK, VOCABULARY, Tokenizer, from_json
from outlay.train.bpe import reference
from outlay.train.pocket import Decoder

PACKAGE: Final = Path("src/outlay/pocket/data")
FIXTURES: Final = Path("tests/fixtures")
LAST: Final = 8
"""Positions at the end of each sequence whose logits are kept."""

ODD_TEXTS: Final = (
    "",
    " ",
    "  two  spaces ",
    "tab\tnew\n\nline\r\n end",
    "<|think|>12<|eos|><|bos|> <|short|> <|pad|>",
    "Don't stop: it's 3.14!",
    "naïve café — “quoted” … ß",
    "数学 १२३ ½ Ⅷ ²",
    "emoji 🙂🙂 👩‍🚀 and\u00a0nbsp\u3000wide\u2003em",
    "a_b+c=d^e|f~g`h$",
    "e\u0301 combining, \x00 nul \x1f unit \x85 next",
    "(4+7)*3-1",
)


def write_weights(state: dict[str, torch.Tensor], path: Path) -> None:
    """Store the tensors in fp16 under their names."""
    np.savez(path, **{name: tensor.half().numpy() for name, tensor in state.items()})


def rounded(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors as the package will read them: through fp16."""
    return {name: tensor.half().float() for name, tensor in state.items()}


def transformers_model(state: dict[str, torch.Tensor]) -> Any:
    """Return the same weights as `Qwen3ForCausalLM`."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=float(EPSILON),
        rope_theta=THETA,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings=True,
        attention_bias=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model = Qwen3ForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"lm_head.weight"}, missing
    assert not unexpected, unexpected
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def write_logits(state: dict[str, torch.Tensor], tokenizer: Tokenizer, path: Path) -> None:
    """Store the ids of a few sequences their lengths, and the logits of the last positions."""
    rng = np.random.default_rng(0)
    think = [chain_problems(k, 99, 1, rng)[0] for k in (1, 5, 10)]
    sequences = [[BOS, *tokenizer.encode(p.question), THINK, *tokenizer.encode("12+34=46-")] for p in think]
    direct = countdown_problems(4, 50, 1, rng)[0]
    sequences.append([BOS, *tokenizer.encode(direct.question), SHORT, *tokenizer.encode("9*")])
    sequences.append([BOS, *tokenizer.encode(ODD_TEXTS[6] * 4), THINK, *tokenizer.encode("4-")])
    model, plain = transformers_model(state), Decoder()
    plain.load_state_dict(state)
    logits = []
    for ids in sequences:
        theirs, ours = model(torch.tensor([ids])).logits[0], plain(torch.tensor([ids]))[0]
        print(f"{len(ids)} tokens: transformers and the trainer differ by {(theirs - ours).abs().max():.1e}")
        logits.append(theirs[-LAST:].numpy())
    padded = np.zeros((len(sequences), max(map(len, sequences))), np.int16)
    for row, ids in enumerate(sequences):
        padded[row, : len(ids)] = ids
    np.savez_compressed(path, ids=padded, lengths=[len(ids) for ids in sequences], logits=np.stack(logits))


def write_ids(tokenizer: Tokenizer, path: Path) -> None:
    """Store texts and the ids that the `tokenizers` package gives them."""
    rng = np.random.default_rng(0)
    texts = [*ODD_TEXTS, *(p.question for k in (1, 4, 10) for p in chain_problems(k, 99, 6, rng))]
    texts += [chain_trace(14, [(0, 23), (1, 8), (2, 2), (4, 2)])]
    texts += [p.question for m in (2, 5) for p in countdown_problems(m, 50, 3, rng)]
    other = reference(tokenizer)
    rows = [{"text": text, "ids": other.encode(text, add_special_tokens=False).ids} for text in texts]
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def main() -> None:
    """Read the options and write everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory that the training script wrote")
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--fixtures", type=Path, default=FIXTURES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (options.package, options.fixtures):
        folder.mkdir(parents=True, exist_ok=True)
    state = torch.load(options.out / "checkpoint.pt")["model"]
    text = (options.out / "tokenizer.json").read_text()
    write_weights(state, options.package / "weights.npz")
    (options.package / "tokenizer.json").write_text(text)
    write_logits(rounded(state), from_json(text), options.fixtures / "pocket_logits.npz")
    write_ids(from_json(text), options.fixtures / "pocket_ids.json")


if __name__ == "__main__":
    main()
