# The commands of this repository. `make help` lists them; only Python 3.11-3.13, make and a network to the package index are needed.
PYTHON     ?= python3
EXPERIMENT ?= miniature
FILMS      ?=
STIMULI    ?=
LABELS     ?=
PHOTOGRAPHS ?=
SEEDS      ?=
CORES      ?=
PROFILE    ?=
VENV       := .venv
RUN        := $(VENV)/bin/python

# Values go to commands through the environment, as they are: what a shell or make would expand in them is no matter.
GIVEN := EXPERIMENT FILMS STIMULI LABELS PHOTOGRAPHS SEEDS CORES PROFILE
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN)

.DEFAULT_GOAL := help
.PHONY: help install quarto poster films site serve test coverage lint lab validate benchmark lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  make poster takes EXPERIMENT=miniature|miniature:shuffled|clips|poster|poster:fast|smoke, SEEDS=3, CORES=8, PROFILE=<Snakemake profile>,"
	@echo "  and for films of your own FILMS=<folder of video files> STIMULI=<folder of class folders named by wnid>"
	@echo "  and, if there are labels in time, LABELS=<folder or file of them>; labels alone: EXPERIMENT=movie101 LABELS=..."
	@echo "  Photographs in drawn timelines: EXPERIMENT=photographs, photographs:crossed or photographs:company, PHOTOGRAPHS=<folder with train and test>."

install: $(VENV)/.ready ## make .venv from the lock (other commands do it by themselves)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: $$($(PYTHON) --version) found, Python 3.11 to 3.13 needed; name one: make PYTHON=python3.12 ..."; exit 2; }
	@echo "Installing into $(VENV) from requirements.lock (once; several GB with the CUDA libraries of torch) ..."
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)/bin/uv pip sync --quiet --compile-bytecode --python $(RUN) --require-hashes requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --editable .
	@if git rev-parse --git-dir > /dev/null 2>&1; then $(RUN) -m nbstripout --install && git config filter.nbstripout.required false; fi # outputs stay out of git
	@touch $@

quarto: $(VENV)/.ready ## add Quarto to .venv, which downloads the program; documents and site are rendered by it from then on
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) 'quarto-cli>=1.6' && $(VENV)/bin/quarto --version || \
	  { echo "error: quarto-cli could not be installed (it downloads Quarto from its release page); poster and paper need none,"; \
	    echo "  and the site takes any Quarto on the path: https://quarto.org/docs/get-started/"; exit 2; }

poster: $(VENV)/.ready ## run an experiment from films, or the miniature world, to its rendered poster
	@$(RUN) -m semanticcmc run "$$EXPERIMENT" $${FILMS:+--films "$$FILMS"} $${STIMULI:+--stimuli "$$STIMULI"} $${LABELS:+--labels "$$LABELS"} \
	  $${PHOTOGRAPHS:+--photographs "$$PHOTOGRAPHS"} $${SEEDS:+--seeds "$$SEEDS"} $${CORES:+--cores "$$CORES"} $${PROFILE:+-- --profile "$$PROFILE"}

films: $(VENV)/.ready ## fill the list of films, data_manifests/films.csv, from FILMS=<folder>
	@test -n "$$FILMS" || { echo "error: name the folder of films: make films FILMS=<folder>"; exit 2; }
	@$(RUN) -m semanticcmc films "$$FILMS"

site: $(VENV)/.ready ## render the site into _site/ from the finished miniature experiment (needs Quarto, and says how to get it)
	@$(RUN) -m papers.build.site

serve: $(VENV)/.ready ## show the rendered site at http://localhost:8000, its search included
	@test -f _site/index.html || { echo "error: no site in _site/; render it first: make site"; exit 2; }
	@$(RUN) -m http.server --bind localhost --directory _site 8000

test: $(VENV)/.ready ## run the tests, with the whole pipeline on a tiny world
	@$(RUN) -m pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

coverage: $(VENV)/.ready ## run the tests and measure which lines and branches they reach (a third longer)
	@$(RUN) -m pytest --cov --cov-report=term --cov-fail-under=85

lint: $(VENV)/.ready ## check style, types, and that notebooks carry no outputs
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
	@$(VENV)/bin/nbstripout --verify analysis/*.ipynb

lab: $(VENV)/.ready ## open JupyterLab on the notebooks
	@cd analysis && ../$(VENV)/bin/jupyter lab

validate: $(VENV)/.ready ## run the long studies into validation/*.csv (hours)
	@for study in $$(grep -l __main__ validation/*.py); do echo "== $$study"; module=validation.$$(basename $$study .py); \
	  if grep -q '\["train"\]' $$study; then $(RUN) -m $$module train || exit; fi; $(RUN) -m $$module || exit; done

benchmark: $(VENV)/.ready ## measure speed against the peers, as ratios in one run, into benchmarks/results/*.csv
	@for bench in benchmarks/*.py; do echo "== $$bench"; $(RUN) -m benchmarks.$$(basename $$bench .py) || exit; done

lock: ## solve the dependencies anew into requirements.lock (needs uv)
	@uv pip compile pyproject.toml --universal --generate-hashes --upgrade --no-header --no-annotate --quiet \
	  --extra analysis --extra publish --extra test --python-version 3.11 --output-file requirements.lock

clean: ## remove caches (never results)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.* build *.egg-info lib/*.egg-info
