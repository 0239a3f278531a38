.DEFAULT_GOAL := help
.PHONY: help vendor dev bench drill cluster nightly scan test lint fmt types ci translations migration demo lock audit sbom

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

vendor: ## Fetch the pinned browser libraries and copy them into app/static
	npm install --no-package-lock --ignore-scripts --no-audit --no-fund
	npm run --silent vendor

dev: ## Start everything in one terminal
	python run.py

demo: ## Load the demo company into an empty database
	python -m flask --app run crm demo

test: ## Run the whole suite on both databases (k=name for some of it)
	python -m tests $(if $(k),-k '$(k)')

bench: ## Compare the speed with a Django admin and the bare SQL (bench/README.md)
	python -m bench

drill: ## Save 200,000 customers and 1,000,000 orders under writing, put them back and compare (docs/backup.md)
	python -m bench.drill --folder var/drill
	python -m bench.drill --folder var/drill --database sqlite

cluster: ## Start two nodes behind nginx and kill every part in turn (docs/cluster.md)
	python deploy/cluster_drill.py

nightly: ## What takes too long for every change: three hours on two cores (docs/security.md)
	python -m pytest -q --nightly tests
	python deploy/cluster_drill.py --rounds 5
	$(MAKE) drill
	python -m bench.load --folder var/load
	python -m bench.load --folder var/load --requests 50000
	python -m tests.outside.browser
	$(MAKE) audit

scan: ## Let outside scanners loose on a demo company, on the loopback (docs/security.md)
	test -x .venv-scan/bin/wapiti || (python -m venv .venv-scan && .venv-scan/bin/pip install -q -r tests/outside/requirements.txt)
	python -m tests.outside --tools .venv-scan/bin

lint: ## Check style, form and types
	ruff check .
	ruff format --check .
	mypy

fmt: ## Repair style and form
	ruff check --fix .
	ruff format .

ci: ## Run what a change must pass, in an environment of its own
	.ci/run

lock: ## Write the lock files, with hashes, after requirements were changed
	for name in requirements requirements-dev; do \
	  uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header $$name.txt -o $$name.lock; done

audit: ## Ask for known weaknesses of what is installed; fails when nobody can be asked (docs/security.md)
	python tools/audit.py

sbom: ## Write var/sbom.json: what the product is made of, with licences (CycloneDX), from a fresh environment
	rm -rf .venv-sbom && python -m venv --without-pip .venv-sbom
	python -m pip --python .venv-sbom install -q --require-hashes -r requirements.lock
	mkdir -p var && cyclonedx-py environment .venv-sbom --output-reproducible --of JSON -o var/sbom.json

translations: ## Read the sentences from the source into the catalogues of config.LANGUAGES and compile them
	pybabel -q extract -F babel.cfg -k _l -k lazy_gettext --no-location --sort-output --project Liuke -o translations/messages.pot .
	for code in $$(python -c "from config import Config; print(*(set(Config.LANGUAGES) - {'en'}))"); do \
	  pybabel -q update -i translations/messages.pot -d translations -l $$code --init-missing --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 120; done
	rm -f translations/messages.pot
	pybabel compile -d translations --statistics

migration: ## Write a migration of what the models changed (m="what for")
	python -m flask --app run db upgrade
	python -m flask --app run db migrate -m "$(m)"
	ruff check -q --fix migrations/versions
	ruff format -q migrations/versions
