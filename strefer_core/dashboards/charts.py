"""Figures as plotly.js reads them: plain dicts. Colours are names; the page's script puts in its theme's.

`customdata` of a point is an address below the application's own, to which a click leads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from strefer_core.store.catalog import StageProgress, TrainingFigure
from strefer_core.store.pages import Distribution, DropFigures, Share

Figure = dict[str, Any]

STATUS_COLOURS = {
    "accepted": "var:good",
    "quarantined": "var:warn",
    "unchecked": "var:muted",
    "done": "var:good",
    "through": "var:good",
    "filtered": "var:muted",
    "failed": "var:bad",
    "running": "var:accent",
}


_NAMES: Figure = {"type": "category", "tickangle": -30, "nticks": 12}  # more would overlap


def drop_path(drop_id: str) -> str:
    """Address of a drop's page below the application's."""
    return f"/drops/{quote(drop_id, safe='')}"


def _stacked(name: str, x: Sequence[Any], y: Sequence[Any], links: Sequence[str]) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": list(x),
        "y": list(y),
        "customdata": list(links),
        "marker": {"color": STATUS_COLOURS[name]},
        "hovertemplate": "%{x}<br>%{y:,} " + name + "<extra></extra>",
    }


def _axis(title: str, **more: Any) -> Figure:
    return {"title": {"text": title}, **more}


def _over_drops(drops: Sequence[DropFigures]) -> tuple[list[DropFigures], list[str], list[str]]:
    """Oldest first, with what names and links each. Names are text: two drops of one second stay apart."""
    ordered = list(reversed(drops))
    # plotly reads some HTML in labels; an id is no HTML.
    return ordered, [escape(drop.drop_id) for drop in ordered], [drop_path(drop.drop_id) for drop in ordered]


def videos_of_drops(drops: Sequence[DropFigures]) -> Figure:
    """Videos per drop: through, filtered, failed."""
    ordered, names, links = _over_drops(drops)
    series = {
        "through": [d.videos - d.failed_videos - d.filtered_videos for d in ordered],
        "filtered": [d.filtered_videos for d in ordered],
        "failed": [d.failed_videos for d in ordered],
    }
    data = [_stacked(name, names, values, links) for name, values in series.items()]
    return _bars(data, "videos")


def pairs_of_drops(drops: Sequence[DropFigures]) -> Figure:
    """Pairs per drop by status."""
    ordered, names, links = _over_drops(drops)
    data = [
        _stacked(status, names, [getattr(drop, status) for drop in ordered], links)
        for status in ("accepted", "quarantined", "unchecked")
    ]
    return _bars(data, "pairs")


def _bars(data: list[Figure], counted: str) -> Figure:
    return {
        "data": data,
        "layout": {
            "barmode": "stack",
            "xaxis": _NAMES,
            "yaxis": _axis(counted, rangemode="tozero"),
        },
    }


def errors_of_drops(drops: Sequence[DropFigures], target: float | None) -> Figure:
    """Estimated error of accepted pairs, what people found in samples, and the target."""
    ordered, names, links = _over_drops(drops)
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "estimated",
            "x": names,
            "y": [drop.estimated_error for drop in ordered],
            "customdata": links,
            "line": {"color": "var:accent"},
            "hovertemplate": "%{x}<br>%{y:.2%} estimated<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "audited",
            "x": names,
            "y": [drop.audited_error for drop in ordered],
            "text": [f"{drop.sampled_wrong} of {drop.sampled} sampled pairs" for drop in ordered],
            "customdata": links,
            "marker": {"color": "var:bad", "size": 10, "symbol": "diamond"},
            "hovertemplate": "%{x}<br>%{y:.2%}: %{text}<extra></extra>",
        },
    ]
    layout: Figure = {
        "xaxis": _NAMES,
        "yaxis": _axis("share of wrong pairs", tickformat=".1%", rangemode="tozero"),
    }
    if target is not None:
        layout["shapes"] = [_line(y=target)]
    return {"data": data, "layout": layout}


def costs_of_drops(drops: Sequence[DropFigures]) -> Figure:
    """Compute seconds and tokens per accepted pair."""
    ordered, names, links = _over_drops(drops)
    has_tokens = any(drop.tokens for drop in ordered)
    return {
        "data": [
            {
                "type": "bar",
                "name": "compute seconds",
                "x": names,
                "y": [drop.compute_s_per_accepted for drop in ordered],
                "customdata": links,
                "marker": {"color": "var:accent"},
                "hovertemplate": "%{x}<br>%{y:.2f} s per accepted pair<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "tokens",
                # Without a served model there are none; the axis would show nothing but zeros.
                "visible": has_tokens,
                "x": names,
                "y": [drop.tokens_per_accepted for drop in ordered],
                "customdata": links,
                "yaxis": "y2",
                "line": {"color": "var:warn"},
                "hovertemplate": "%{x}<br>%{y:,.0f} tokens per accepted pair<extra></extra>",
            },
        ],
        "layout": {
            "xaxis": _NAMES,
            "yaxis": _axis("seconds", rangemode="tozero"),
            "yaxis2": _axis(
                "tokens", rangemode="tozero", overlaying="y", side="right", showgrid=False, visible=has_tokens
            ),
        },
    }


def funnel_of_drop(progress: Sequence[StageProgress], drop_id: str) -> Figure:
    """Videos of one drop by stage and state, first stage on top."""
    stages = [one.stage for one in progress]
    data = []
    for state in ("done", "filtered", "failed", "running"):
        counts = [getattr(one, state) for one in progress]
        if any(counts) or state == "done":
            bar = _stacked(state, counts, stages, [f"/videos?drop={quote(drop_id, safe='')}"] * len(stages))
            bar |= {"orientation": "h", "hovertemplate": "%{y}: %{x:,} " + state + "<extra></extra>"}
            data.append(bar)
    layout = {
        "barmode": "stack",
        "xaxis": _axis("videos", rangemode="tozero"),
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    return {"data": data, "layout": layout}


def shares(mixture: Sequence[Share], by: str) -> dict[str, float]:
    """Share of all pairs per group or task type, by name; `by` is a field of `Share`."""
    total = sum(share.pairs for share in mixture)
    found: dict[str, float] = {}
    for share in mixture:
        name = getattr(share, by)
        found[name] = found.get(name, 0.0) + share.pairs / total
    return dict(sorted(found.items()))


def drift(now: Mapping[str, float], before: Mapping[str, float]) -> Figure:
    """Shares of this drop beside those of the drop before it; without one, this drop's alone."""
    names = sorted({*now, *before})
    both = [("this drop", now, "var:accent"), ("drop before", before, "var:muted")]
    data = [
        {
            "type": "bar",
            "name": label,
            "x": names,
            "y": [values.get(name, 0.0) for name in names],
            "marker": {"color": colour},
            "hovertemplate": "%{x}<br>%{y:.1%} " + label + "<extra></extra>",
        }
        for label, values, colour in both
        if values
    ]
    layout = {
        "barmode": "group",
        "xaxis": _NAMES,
        "yaxis": _axis("share of accepted pairs", tickformat=".0%", rangemode="tozero"),
    }
    return {"data": data, "layout": layout}


def histogram(found: Distribution, check_name: str) -> Figure:
    """Objects by value, findings apart, with the threshold."""
    width = (found.high - found.low) / len(found.counts)
    middles = [found.low + width * (place + 0.5) for place in range(len(found.counts))]
    fine = [count - bad for count, bad in zip(found.counts, found.findings, strict=True)]
    series = [("passes", fine, "var:good"), ("finding", list(found.findings), "var:bad")]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": middles,
            "y": counts,
            "width": width,
            "marker": {"color": colour, "line": {"width": 0}},
            "hovertemplate": f"%{{x:.3g}} ± {width / 2:.2g}<br>%{{y:,}} {name}<extra></extra>",
        }
        for name, counts, colour in series
    ]
    thresholds = sorted({found.low_threshold, found.high_threshold})
    layout = {
        "barmode": "stack",
        "bargap": 0,
        "xaxis": _axis(check_name),
        "yaxis": _axis("objects", rangemode="tozero"),
        "shapes": [_line(x=threshold) for threshold in thresholds],
        "annotations": [_note(threshold) for threshold in thresholds],
    }
    return {"data": data, "layout": layout}


def reliability(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """How often pairs of one estimated chance to be wrong were wrong; on the diagonal the filter is right."""
    told = [one for one in bins if one.get("pairs")]
    top = max([0.05, *(max(one["estimated"], one["wrong"]) for one in told)])
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "as estimated",
            "x": [0, top],
            "y": [0, top],
            "line": {"color": "var:muted", "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "calibration",
            "x": [one["estimated"] for one in told],
            "y": [one["wrong"] for one in told],
            "text": [f"{one['pairs']:,} pairs" for one in told],
            "marker": {"color": "var:accent", "size": 9},
            "line": {"color": "var:accent"},
            "hovertemplate": "estimated %{x:.1%}, wrong %{y:.1%}<br>%{text}<extra></extra>",
        },
    ]
    layout = {
        "xaxis": _axis("estimated chance to be wrong", tickformat=".0%", rangemode="tozero"),
        "yaxis": _axis("share that was wrong", tickformat=".0%", rangemode="tozero"),
    }
    return {"data": data, "layout": layout}


def counts(values: Mapping[str, int], title: str) -> Figure:
    """One bar per name."""
    return {
        "data": [
            {
                "type": "bar",
                "x": list(values),
                "y": list(values.values()),
                "marker": {"color": "var:accent"},
                "hovertemplate": "%{x}<br>%{y:,}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": _NAMES,
            "yaxis": _axis(title, rangemode="tozero"),
            "showlegend": False,
        },
    }


def training(figures: Sequence[TrainingFigure], name: str) -> Figure:
    """One figure of a training over its steps."""
    own = [one for one in figures if one.name == name]
    data = {
        "type": "scatter",
        "mode": "lines",
        "x": [one.step for one in own],
        "y": [one.value for one in own],
        "line": {"color": "var:accent"},
        "hovertemplate": "step %{x:,}<br>" + name + " %{y:.3f}<extra></extra>",
    }
    layout = {"xaxis": _axis("step"), "yaxis": _axis(name, rangemode="tozero"), "showlegend": False}
    return {"data": [data], "layout": layout}


def groups_of_model(groups: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Accuracy of a model per group with its interval; what text alone and chance reach beside it."""
    names = sorted(name for name, row in groups.items() if row["accuracy"]["value"] is not None)
    accuracy = [groups[name]["accuracy"] for name in names]
    others = {
        "text alone": [groups[name]["text_only"]["value"] for name in names],
        "chance": [groups[name]["chance"] for name in names],
    }
    data: list[Figure] = [
        {
            "type": "bar",
            "name": "model",
            "x": names,
            "y": [one["value"] for one in accuracy],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [(one["high"] or one["value"]) - one["value"] for one in accuracy],
                "arrayminus": [one["value"] - (one["low"] or one["value"]) for one in accuracy],
                "color": "var:text",
            },
            "marker": {"color": "var:accent"},
            "hovertemplate": "%{x}<br>%{y:.1%} right<extra></extra>",
        }
    ]
    for name, values in others.items():
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": names,
                "y": values,
                "marker": {
                    "color": "var:warn" if name == "chance" else "var:bad",
                    "symbol": "line-ew-open",
                    "size": 26,
                    "line": {"width": 3},
                },
                "hovertemplate": "%{x}<br>%{y:.1%} by " + name + "<extra></extra>",
            }
        )
    return {"data": data, "layout": {"xaxis": _NAMES, "yaxis": _axis("right answers", tickformat=".0%")}}


def _line(x: float | None = None, y: float | None = None) -> Figure:
    """A dashed line through the whole plot, at one x or one y."""
    ends: Figure = {"x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
    if x is None:
        ends = {"y0": y, "y1": y, "xref": "paper", "x0": 0, "x1": 1}
    return {"type": "line", **ends, "line": {"color": "var:text", "dash": "dash", "width": 1.5}}


def _note(x: float) -> Figure:
    return {
        "x": x,
        "yref": "paper",
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "text": f"threshold {x:.3g}",
    }
