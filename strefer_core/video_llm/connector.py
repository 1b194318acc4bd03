"""Region-Language Connector and temporal encoder: patch features of all frames become a few tokens.

Mask pooling and the merge of adjacent tokens follow VideoRefer's object encoder (arXiv 2501.00599), which
Strefer uses (arXiv 2509.03501): a cell counts where the mask touches it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOTION_REACH = 2
PLACES = 3  # numbers that `places` gives
PLACES_SCALE = 4.0  # a change of place within a second weighs as much as a feature's


def pool_regions(features: Tensor, cells: Tensor) -> Tensor:
    """Mean feature of the touched cells of each frame; zeros where none is.

    Args:
        features: (N, F, P, d), patches row by row.
        cells: (N, F, P), which cells each region touches: bool, or shares of them.

    Returns:
        (N, F, d).
    """
    weights = cells.to(features.dtype)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    return torch.einsum("nfp,nfpd->nfd", weights, features)


def places(masks: Tensor) -> Tensor:
    """Where masks are: (N, F, 3), centre across and down, -1 to 1, and the side of a square as large, 0 to 1.

    A mask's place beside what it shows is known from Osprey's spatial tokens (arXiv 2312.10032), which take
    all of its pixels.

    Args:
        masks: (N, F, P), shares of patches that belong to it, row by row; a frame without any gives zeros.
    """
    side = round(masks.shape[-1] ** 0.5)
    centres = (torch.arange(side, device=masks.device) * 2 + 1) / side - 1
    grid = torch.stack([centres.repeat(side), centres.repeat_interleave(side)], -1)  # (P, 2)
    size = masks.float().sum(-1, keepdim=True)
    centre = masks.float() @ grid / size.clamp(min=1e-6)
    # The slope of a root at zero is infinite, and none of it would be not a number.
    return torch.cat([centre, (size / side**2).clamp(min=1e-6).sqrt()], -1)


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


class Projector(nn.Module):
    """Two-layer MLP into the language model's width; what comes out is as large as an embedding of a word,
    and carries a mark of its own by which attention finds what comes from here.

    Args:
        width_in, width_out: of what comes in and out.
        scale: of each number that comes out, at the start.
        is_normed: what comes in is brought to one size first; not where its size tells something.
    """

    def __init__(self, width_in: int, width_out: int, scale: float = 0.02, *, is_normed: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in) if is_normed else nn.Identity()
        self.expand = nn.Linear(width_in, width_out)
        self.project = nn.Linear(width_out, width_out)
        self.gain = nn.Parameter(torch.full((width_out,), scale))
        self.mark = nn.Parameter(torch.zeros(width_out))
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return self._out(self.expand(self.norm(features)))

    def _out(self, hidden: Tensor) -> Tensor:
        found: Tensor = self.project(nn.functional.gelu(hidden))
        return nn.functional.layer_norm(found, found.shape[-1:]) * self.gain + self.mark


class RegionProjector(Projector):
    """A projector that may also take places, see `places`, after the features."""

    def __init__(
        self, width_in: int, width_out: int, scale: float = 0.02, *, takes_places: bool = False
    ) -> None:
        super().__init__(width_in, width_out, scale)
        self.width_in = width_in
        self.place = nn.Linear(PLACES, width_out, bias=False) if takes_places else None

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.expand(self.norm(features[..., : self.width_in]))
        if self.place is not None:
            hidden = hidden + self.place(features[..., self.width_in :])
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


class WordPooling(nn.Module):
    """Where the words of a question point in the pictures: a soft mask, so that they become a region, too.

    Each word, told by itself and the one before it, gives every patch a score, and so does "nowhere". The
    scores of all words that are somewhere add up: of the red things and the hearts, the red heart. Words that
    look at pictures are known from Flamingo (arXiv 2204.14198) and InstructBLIP (arXiv 2305.06500); that they
    make regions which pass through the connector as masks do is ours.

    Args:
        width_words: of words' embeddings.
        width_in: of patches.
    """

    def __init__(self, width_words: int, width_in: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in)
        self.key = nn.Linear(width_in, width_words, bias=False)
        self.query = nn.Linear(2 * width_words, width_words)
        self.nowhere = nn.Parameter(torch.zeros(()))

    def forward(self, words: Tensor, features: Tensor) -> Tensor:
        """Log chances (W, F, P + 1) of each patch of each frame, and last of none of them.

        Args:
            words: (W, 2 width), the embedding of the word before each word, and its own.
            features: (F, P, d) of one video.
        """
        keys = self.key(self.norm(features))
        queries = self.query(nn.functional.layer_norm(words, words.shape[-1:]))
        scores = torch.einsum("wd,fpd->wfp", queries, keys) * keys.shape[-1] ** -0.5
        nowhere = self.nowhere.to(scores.dtype).expand(*scores.shape[:2], 1)
        return torch.cat([scores, nowhere], -1).float().log_softmax(-1)


def joint_masks(logs: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """What several words mean together.

    Args:
        logs: (W, F, P + 1) of each word, see `WordPooling.forward`.
        said: (N, W) bool, which words each question has.

    Returns:
        masks: (N, F, P) shares of each frame's patches that belong to it: n that are all as sure have 1 each.
        there: (N, F) the chance that the frame shows it at all: that of the word that is surest.
    """
    there = 1 - logs[..., -1].exp()  # (W, F)
    scores = logs[..., :-1] - logs[..., -1:]
    joint = torch.einsum("nw,wf,wfp->nfp", said.to(scores.dtype), there, scores).softmax(-1)
    most = (there[None] * said[..., None]).amax(1)
    return joint / joint.square().sum(-1, keepdim=True).clamp(min=1e-6), most
