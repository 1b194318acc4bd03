"""Asking served models: questions in, checked answers out, every call accounted.

    ask.py         a question: prompt, untrusted fields, pictures, the schema of its answer
    prompt.py      prompts as versioned files, prompts/NAME.vN.md
    server.py      one OpenAI-compatible server: limits, tries, errors
    reply.py       a reply at the door: shape, schema, check
    client.py      ask_all: many questions at once, each until it has a usable answer
    accounting.py  what calls cost and what became of their replies
    words.py       checks of words that a model wrote
    pictures.py    frames as JPEGs or as one small MP4

This file imports nothing: the pipeline accounts without a client.
"""
