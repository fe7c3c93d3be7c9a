"""A loopback model provider: the real codex talks to a model that is written down or was recorded.

    scenario.py        what a written conversation consists of, and where one is found
    scenario_file.py   reading one from TOML, with scenario_table.py
    recording.py       a recorded conversation, ready to be played
    record.py          recording one: a proxy in front of a real provider
    history.py         where in a conversation a request of codex stands
    responses.py       what the model answers to one request
    stream.py          a response as events of the Responses API
    model.py           the model, served
    loopback.py        the HTTP underneath
    catalog.py         the model as codex's model catalog describes it

Only the standard library and h11 are imported here; record.py needs httpx as soon as it records.
"""
