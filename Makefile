.DEFAULT_GOAL := help
.PHONY: help vendor

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

vendor: ## Fetch the pinned browser libraries and copy them into app/static
	npm install --no-package-lock --ignore-scripts --no-audit --no-fund
	npm run --silent vendor
