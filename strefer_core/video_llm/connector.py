"""Region-Language Connector and temporal encoder: patch features of all frames become a few tokens.

Mask pooling and the merge of adjacent tokens follow VideoRefer's object encoder (arXiv 2501.00599), which
Strefer uses (arXiv 2509.03501): a cell counts where the mask touches it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOTION_REACH = 2


def pool_regions(features: Tensor, cells: Tensor) -> Tensor:
    """Mean feature of the touched cells of each frame; zeros where none is.

    Args:
        features: (N, F, P, d), patches row by row.
        cells: (N, F, P) bool, which cells each region touches.

    Returns:
        (N, F, d).
    """
    weights = cells.to(features.dtype)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1.0)
    return torch.einsum("nfp,nfpd->nfd", weights, features)


def merge_adjacent(tokens: Tensor, valid: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Neighbouring tokens joined until at most `most` are left, the least alike boundaries kept.

    The boundaries between neighbours are ranked by cosine similarity, once; the `most - 1` lowest stay (of
    equals the earliest), and each stretch between them becomes its mean. So the number of tokens is exact
    on ties, too.

    Args:
        tokens: (N, F, d), in order of time.
        valid: (N, F) bool; the others are left out, and neighbours across a gap are neighbours.
        most: tokens that are kept.

    Returns:
        shares: (N, most, F), each row the weights of a token's mean over the frames: it sums to 1, or is 0
            where there are fewer tokens. Other features of the frames are merged by the same weights.
        count: (N,) number of tokens: min(most, valid frames).
    """
    order = torch.argsort((~valid).to(torch.int8), dim=1, stable=True)  # valid ones first, in order
    packed = torch.gather(tokens.float(), 1, order[..., None].expand_as(tokens))
    number = valid.sum(1)  # (N,)
    frames = tokens.shape[1]
    alike = nn.functional.cosine_similarity(packed[:, :-1], packed[:, 1:], dim=-1)  # (N, F - 1)
    inside = torch.arange(1, frames, device=tokens.device)[None] < number[:, None]
    alike = alike.masked_fill(~inside, torch.inf)
    ranks = torch.argsort(torch.argsort(alike, dim=1, stable=True), dim=1)
    is_boundary = (ranks < most - 1) & inside
    stretch = nn.functional.pad(
        is_boundary.long().cumsum(1), (1, 0)
    )  # (N, F) which token each packed frame goes to
    shares = nn.functional.one_hot(stretch, most).to(tokens.dtype).transpose(1, 2)  # (N, most, F)
    kept = torch.arange(frames, device=tokens.device)[None] < number[:, None]
    shares = shares * kept[:, None]
    shares = shares / shares.sum(-1, keepdim=True).clamp(min=1.0)
    back = torch.argsort(order, dim=1)  # from packed places to frames
    shares = torch.gather(shares, 2, back[:, None].expand_as(shares))
    return shares, number.clamp(max=most)


def merge_evenly(valid: Tensor, most: int) -> Tensor:
    """Weights (N, most, F) of a mean over the valid frames of each of `most` equal spans of the frames.

    Each row sums to 1, or is 0 where a span has no valid frame. Ours: a token per span tells when something
    is so, which a merge of alike frames blurs.
    """
    frames = valid.shape[1]
    spans = torch.arange(frames, device=valid.device) * most // frames
    shares = nn.functional.one_hot(spans, most).T[None] * valid[:, None]
    return shares / shares.sum(-1, keepdim=True).clamp(min=1)


def motion(pooled: Tensor, valid: Tensor, reach: int = MOTION_REACH) -> Tensor:
    """(N, F, d) change of a region's feature from `reach` frames before each frame to as many after.

    Towers add embeddings of places to their patches, so a change of place shows in it. A frame without the
    region stands aside: the frame itself takes its place.
    """
    places = torch.arange(pooled.shape[1], device=pooled.device)
    ends = []
    for step in (reach, -reach):
        there = (places + step).clamp(0, len(places) - 1)
        ends.append(torch.where(valid[:, there, None], pooled[:, there], pooled))
    return ends[0] - ends[1]


def inside(shares: Tensor, fractions: Tensor, intervals: Tensor) -> Tensor:
    """(N, T) how much of what each token stands for lies in an interval, 0..1.

    Args:
        shares: (N, T, F) weights of each token's mean over the frames.
        fractions: (N, F) times of the frames as fractions of the video.
        intervals: (N, 2) start and end, half-open, likewise; NaN where none is asked about: 0.
    """
    within = (fractions >= intervals[:, :1]) & (fractions < intervals[:, 1:])
    return torch.einsum("ntf,nf->nt", shares, within.to(shares.dtype))


class Projector(nn.Module):
    """Two-layer MLP into the language model's width; what comes out is as large as an embedding of a word."""

    def __init__(self, width_in: int, width_out: int, scale: float = 0.02) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in)
        self.expand = nn.Linear(width_in, width_out)
        self.project = nn.Linear(width_out, width_out)
        self.gain = nn.Parameter(torch.full((width_out,), scale))
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return self._out(self.expand(self.norm(features)))

    def _out(self, hidden: Tensor) -> Tensor:
        found: Tensor = self.project(nn.functional.gelu(hidden))
        return nn.functional.layer_norm(found, found.shape[-1:]) * self.gain


class RegionProjector(Projector):
    """A projector that also takes how the features change, see `motion`, and whether they are asked about."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        scale: float = 0.02,
        *,
        takes_motion: bool,
        takes_interval: bool = False,
    ) -> None:
        super().__init__(width_in, width_out, scale)
        self.change = nn.Linear(width_in, width_out, bias=False) if takes_motion else None
        self.asked = nn.Parameter(torch.full((width_out,), scale)) if takes_interval else None

    def mark(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Tokens (N, T, width) with a mark as strong as they are `inside` (N, T) the interval asked about."""
        if self.asked is None:
            return tokens
        return tokens + inside[..., None].to(tokens.dtype) * self.asked.to(tokens.dtype)

    def forward(self, features: Tensor, change: Tensor | None = None) -> Tensor:
        hidden = self.expand(self.norm(features))
        if self.change is not None and change is not None:
            hidden = hidden + self.change(change)
        return self._out(hidden)


class GroupedPooling(nn.Module):
    """32 frames to a fixed number of tokens: neighbours in time and space pooled, the salient ones most.

    The frames fall into `time_groups` groups of neighbours and each picture into cells; of the patches of a
    cell over the frames of a group, the softmax of a learned score gives the weights. At the start all
    weights are equal: a mean.
    """

    def __init__(self, width: int, time_groups: int, cells_per_side: int) -> None:
        super().__init__()
        self.time_groups, self.cells_per_side = time_groups, cells_per_side
        self.score = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """(V, F, P, d) -> (V, time_groups * cells_per_side^2, d), by group, then row by row."""
        grouped = self._grouped(features)  # (V, tokens, patches of the token, d)
        weights = (grouped @ self.score).float().softmax(2).to(grouped.dtype)
        return torch.einsum("vtp,vtpd->vtd", weights, grouped)

    def _grouped(self, features: Tensor) -> Tensor:
        videos, frames, patches, width = features.shape
        side = round(patches**0.5)
        grid = features.reshape(videos, frames, side, side, width)
        cells = self.cells_per_side
        if spare := -side % cells:  # 27 patches to 4 cells: the last row and column are repeated
            grid = nn.functional.pad(
                grid.permute(0, 1, 4, 2, 3).flatten(0, 1), (0, spare, 0, spare), mode="replicate"
            )
            grid = grid.unflatten(0, (videos, frames)).permute(0, 1, 3, 4, 2)  # type: ignore[no-untyped-call]
            side += spare
        step = side // cells
        grid = grid.reshape(
            videos, self.time_groups, frames // self.time_groups, cells, step, cells, step, width
        )
        return grid.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(
            videos, self.time_groups * cells * cells, -1, width
        )
