"""Strefer: space-time instruction data from raw video, with its error measured.

`strefer_core` is the library and the command line; it imports no Airflow.
"""

__version__ = "0.1.0"
