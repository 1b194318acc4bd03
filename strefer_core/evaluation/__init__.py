"""Benchmarks: what a Video LLM is asked, and how its answers are scored.

    running.py       one evaluation from its options to its report (`strefer eval`)
    results.py       results as lines of JSON: a run that stopped goes on
    figures.py       means over items with bootstrap intervals over videos
    comparing.py     champion against challenger: promote or keep
    prompting.py     questions and frames for models that know no regions and no time tokens
    answerers.py     answerers without a model; served_answerer.py: one behind an OpenAI-compatible server
    published/       VideoRefer-Bench D and Q, QVHighlights, TempCompass, Video-MME

The world's own bench: world_bench.py makes items.py from right pairs (world_judging.py), options for each
(world_options.py, wording.py), other masks and times (world_conditions.py); asking.py asks them,
text_only.py says how far text alone gets, world_report.py puts it together.

Evaluations know a model only as `strefer_core.video_llm.samples.Answerer`.
"""
