"""What pyproject.toml cannot say: the folder `sql/` is installed as the package `strefer_sql`.

Everything else is in pyproject.toml. `sql` alone would be a name that others install too.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["strefer_core*", "operators*"]),
        "strefer_sql",
        "strefer_sql.migrations",
        "strefer_sql.views",
    ],
    package_dir={"strefer_sql": "sql"},
)
