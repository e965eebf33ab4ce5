"""Train the pocket model from scratch: `python -m outlay.train.pocket --out DIR --tokens 11.9e6 --seed 0`.

A plain decoder in the Qwen3 shape with its state-dict names, so that other runtimes load the same tensors.
Each step sees one part Countdown and one part chained problems of one mode; the schedule follows tokens,
never the clock, so a loaded machine gives the same model. Re-running with the same `--out` resumes from the
last checkpoint.

Source:
    Muon: Jordan et al. 2024 (`torch.optim.Muon`), Moonlight arXiv 2502.16982. Architecture: Qwen3, arXiv
        2505.09388.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from outlay.pocket import draws, problems, rows
from outlay.pocket.model import CONTEXT, HEAD_DIM, HEADS, HIDDEN, LAYERS, MLP, THETA
from outlay.pocket.tokenizer import VOCABULARY, Tokenizer
from outlay.train.bpe import tokenizer_in

EPSILON: Final = 1e-6

COUNTDOWN_TOKENS, CHAIN_TOKENS = (1_700, 3_300), (2_400, 800)
"""Tokens of a step's two parts, before `LATE` and from then on."""
THINK_SHARE: Final = (0.68, 0.2)
"""Share of chained parts in mode `think`, likewise; control tokens are reweighted so that the learned prior
is even. Late parts are few: `think` is nearly learned by then and meant to stay imperfect, or nothing would
be left to allocate, while Countdown goes on improving."""
LATE: Final = 0.83
EASY_SHORT_FROM, EASY_SHORT_SHARE, EASY_K = 0.53, 0.6, 2
"""From this progress on, so many of the `short` parts have at most `EASY_K` operations: beyond, an answer
without a trace is little more than a guess, however long one trains."""
CURRICULUM: Final = 0.26
"""Share of training by which chains of every length are seen."""
WARMUP_STEPS: Final = 50
FLAT: Final = 0.47
FLOOR: Final = 0.02
CHECKPOINT_S: Final = 120.0


class Attention(nn.Module):
    """Causal attention with normalized queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(HIDDEN, HEADS * HEAD_DIM, bias=False) for _ in range(3)
        )
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, HIDDEN, bias=False)
        self.q_norm, self.k_norm = nn.RMSNorm(HEAD_DIM, EPSILON), nn.RMSNorm(HEAD_DIM, EPSILON)

    def forward(self, x_RTH: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        shape = (*x_RTH.shape[:2], HEADS, HEAD_DIM)
        q = rotate(self.q_norm(self.q_proj(x_RTH).view(shape)).transpose(1, 2), cos_TD, sin_TD)
        k = rotate(self.k_norm(self.k_proj(x_RTH).view(shape)).transpose(1, 2), cos_TD, sin_TD)
        v = self.v_proj(x_RTH).view(shape).transpose(1, 2)
        mixed: Tensor = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        projected: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return projected


class Mlp(nn.Module):
    """The gated feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(HIDDEN, MLP, bias=False), nn.Linear(HIDDEN, MLP, bias=False)
        self.down_proj = nn.Linear(MLP, HIDDEN, bias=False)

    def forward(self, x_RTH: Tensor) -> Tensor:
        down: Tensor = self.down_proj(F.silu(self.gate_proj(x_RTH)) * self.up_proj(x_RTH))
        return down


class Layer(nn.Module):
    """Attention, then the feed-forward part, each behind a norm and added back."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = (
            nn.RMSNorm(HIDDEN, EPSILON),
            nn.RMSNorm(HIDDEN, EPSILON),
        )
        self.self_attn, self.mlp = Attention(), Mlp()

    def forward(self, x_RTH: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        x_RTH = x_RTH + self.self_attn(self.input_layernorm(x_RTH), cos_TD, sin_TD)
        y: Tensor = x_RTH + self.mlp(self.post_attention_layernorm(x_RTH))
        return y


class Trunk(nn.Module):
    """Everything below the logits; its own module so that parameter names begin with `model.`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(HIDDEN, EPSILON)


class Decoder(nn.Module):
    """The model; its state dict is that of `Qwen3ForCausalLM` with tied embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Trunk()
        for name, weight in self.named_parameters():
            if name.endswith("embed_tokens.weight"):
                nn.init.normal_(weight, std=0.02)
            elif weight.ndim == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                scale = 1 / math.sqrt(2 * LAYERS) if residual else 0.7
                nn.init.normal_(weight, std=scale / math.sqrt(weight.shape[1]))
        angle = torch.outer(
            torch.arange(CONTEXT), THETA ** -(torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        ).repeat(1, 2)
        self.register_buffer("cos_TD", angle.cos(), persistent=False)
        self.register_buffer("sin_TD", angle.sin(), persistent=False)

    def forward(self, ids_RT: Tensor, at: Tensor | None = None) -> Tensor:
        """Return logits at every position, or only where the mask `at` (R, T) holds."""
        x = self.model.embed_tokens(ids_RT)
        cos, sin = self.get_buffer("cos_TD")[: ids_RT.shape[1]], self.get_buffer("sin_TD")[: ids_RT.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        x = self.model.norm(x if at is None else x[at])
        return F.linear(x, self.model.embed_tokens.weight)


def rotate(x: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Apply rotary positions, halves rotated (the layout of Qwen3, not that of interleaved pairs)."""
    left, right = x.chunk(2, -1)
    return x * cos_TD + torch.cat((-right, left), -1) * sin_TD


class Part(NamedTuple):
    """One family's share of a step; `control_weight` scales the loss of the control token."""

    rows: rows.Rows
    family: str
    control_weight: float


class Source:
    """Draws training parts; never a held-out problem."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._writer = rows.Writer(tokenizer)
        self._rng = np.random.default_rng(seed)
        self._pool = self._countdown_pool()
        self._used = 0

    def chains(self, progress: float) -> Part:
        """Draw chained problems of one mode and about one length, `hi` mixed."""
        rng = self._rng
        late = progress >= LATE
        mode = "think" if rng.random() < THINK_SHARE[late] else "short"
        most = min(max(problems.CHAIN_KS), 2 + int(progress / CURRICULUM * 9))
        easy = EASY_SHORT_SHARE if progress >= EASY_SHORT_FROM else 0.0
        k = int(rng.integers(1, EASY_K + 1 if mode == "short" and rng.random() < easy else most + 1))
        expected = 16 + 5 * k + (5.5 * k if mode == "think" else 0)
        count = max(16, int(CHAIN_TOKENS[late] / expected))
        k_R = np.clip(k + rng.integers(-1, 2, count + 8), 1, most)
        chains = draws.draw_chains(k_R, rng.choice(problems.CHAIN_HIS, count + 8), rng)
        keep = ~draws.held_out_chains(chains)
        chains = draws.Chains(*(column[keep][:count] for column in chains))
        # How much likelier this mode is drawn at this length than at an even prior.
        short = (1 - easy) + (easy * most / EASY_K if k <= EASY_K else 0.0)
        share = THINK_SHARE[late] if mode == "think" else (1 - THINK_SHARE[late]) * short
        return Part(self._writer.chains(chains, mode, rng), mode, 0.5 / share)

    def countdowns(self, progress: float) -> Part:
        """Draw Countdown problems, all numbers of operands mixed."""
        count = int(COUNTDOWN_TOKENS[progress >= LATE] / 24)
        if self._used + count > len(self._pool.length_R):
            self._pool, self._used = self._countdown_pool(), 0
        part = slice(self._used, self._used + count)
        self._used += count
        length = self._pool.length_R[part]
        return Part(
            rows.Rows(self._pool.ids_RT[part, : length.max()], self._pool.control_R[part], length),
            "direct",
            1.0,
        )

    def _countdown_pool(self) -> rows.Rows:
        rng, each = self._rng, 2_000
        parts = []
        for m in problems.COUNTDOWN_MS:
            drawn = draws.draw_countdowns(m, rng.choice(problems.COUNTDOWN_HIS, each * 3 // 2), rng)
            keep = ~draws.held_out_countdowns(drawn)
            parts.append(
                self._writer.countdowns(draws.Countdowns(*(column[keep][:each] for column in drawn)))
            )
        width = max(part.ids_RT.shape[1] for part in parts)
        ids = np.concatenate(
            [np.pad(part.ids_RT, ((0, 0), (0, width - part.ids_RT.shape[1]))) for part in parts]
        )
        order = rng.permutation(len(ids))
        control, length = (np.concatenate([part[at] for part in parts]) for at in (1, 2))
        return rows.Rows(ids[order], control[order], length[order])


def loss_of(model: Decoder, part: Part) -> tuple[Tensor, float]:
    """Return the loss to train on, and the mean loss per completion token after the control token.

    The control token is averaged apart: in a token mean it would weigh 1 / length, ten times more in `short`
    parts, and the learned prior over modes would follow the lengths.
    """
    ids = torch.from_numpy(part.rows.ids_RT)
    place = torch.arange(1, ids.shape[1])
    control = torch.from_numpy(part.rows.control_R)[:, None]
    at = (place >= control) & (place < torch.from_numpy(part.rows.length_R)[:, None])
    loss = F.cross_entropy(model(ids[:, :-1], at), ids[:, 1:][at], reduction="none")
    is_control = (place == control).expand_as(at)[at]
    body, first = loss[~is_control].mean(), loss[is_control].mean()
    return body + 0.1 * part.control_weight * first, body.item()


def rate(progress: float, step: int) -> float:
    """Return the factor on the learning rates: warm-up, flat, linear decay."""
    decay = 1.0 if progress < FLAT else 1 - (1 - FLOOR) * min(1.0, (progress - FLAT) / (1 - FLAT))
    return min(1.0, (step + 1) / WARMUP_STEPS) * decay


def train(out: Path, *, num_tokens: int, seed: int) -> Decoder:
    """Train to `num_tokens` (padding not counted) and leave checkpoints and a log in `out`."""
    torch.manual_seed(seed)
    tokenizer = tokenizer_in(out, seed)
    model, source = Decoder(), Source(tokenizer, seed)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn=None)
    adam = torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0)
    done, step, base = 0, 0, {id(muon): 0.02, id(adam): 4e-3}
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt")
        model.load_state_dict(saved["model"])
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        done, step = saved["done"], saved["step"]
        source = Source(tokenizer, seed + step)
    started, saved_at, first = time.monotonic(), time.monotonic(), done
    average: dict[str, float] = {}
    while done < num_tokens:
        progress = done / num_tokens
        for optimizer in (muon, adam):
            for group in optimizer.param_groups:
                group["lr"] = base[id(optimizer)] * rate(progress, step)
        for part in (source.chains(progress), source.countdowns(progress)):
            loss, body = loss_of(model, part)
            (loss / 2).backward()
            done += int(part.rows.length_R.sum())
            average[part.family] = 0.97 * average.get(part.family, body) + 0.03 * body
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (muon, adam):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        now = time.monotonic()
        if step % 50 == 0:
            speed = (done - first) / (now - started)
            losses = " ".join(f"{family} {value:.3f}" for family, value in sorted(average.items()))
            print(
                f"step {step} tokens {done} ({done / num_tokens:.0%}) {losses} {speed:.0f} tok/s", flush=True
            )
        if now - saved_at > CHECKPOINT_S or done >= num_tokens:
            saved_at = now
            state = {"model": model.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict()}
            torch.save({**state, "done": done, "step": step}, out / "checkpoint.tmp")
            (out / "checkpoint.tmp").replace(out / "checkpoint.pt")
    return model


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory of checkpoints and log")
    parser.add_argument("--tokens", type=float, default=11.9e6, help="tokens to train on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    train(options.out, num_tokens=int(options.tokens), seed=options.seed)


if __name__ == "__main__":
    main()
