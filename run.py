"""留客 Liuke. `python run.py` starts everything in one terminal; gunicorn and flask find the application here.

gunicorn run:app
python -m flask --app run db upgrade
"""

import sys

if __name__ == "__main__":
    from jobs.supervisor import main

    sys.exit(main())

from app import create_app

app = create_app()
