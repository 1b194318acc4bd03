"""Pages inside the Airflow UI: what happened to every drop and video, and a queue for people's decisions.

app.py       the FastAPI application that the plugin mounts
access.py    who may see and who may decide; the only module that imports Airflow
services.py  catalog and object store of the process
pages.py     overview, drops, quality, datasets          videos.py   videos, pairs, pictures
reviewing.py the review queue                            assets.py   own files and plotly.js
charts.py    figures, as plotly reads them               scenes.py   what the frame viewer shows
lineage.py   from a pair back to what made it            pictures.py frames and masks, kept on disk
"""
