"""Everything that imports Airflow except the DAG files."""
