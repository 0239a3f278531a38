"""留客 Liuke. `python run.py` starts everything in one terminal; gunicorn and flask find the application here.

gunicorn run:app
python -m flask --app run db upgrade
"""

import gc
import sys

if __name__ == "__main__":
    from jobs.supervisor import main

    sys.exit(main())

from app import create_app

app = create_app()
# What the start made stays for good, and a page makes little that only the collector can free: it looks less often,
# and only at what came later. A list page is about a tenth cheaper.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)
