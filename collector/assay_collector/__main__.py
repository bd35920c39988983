"""``python -m assay_collector`` is ``assay``."""

from assay_collector.cli import main

if __name__ == "__main__":
    main(prog_name="assay")
