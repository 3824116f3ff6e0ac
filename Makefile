# Thin: every target is one or two commands that also work by hand. `make help` lists them.
PRESET ?= release
JOBS ?= $(shell nproc)
CMAKE_ARGS ?= $(if $(LIBTORCH_DIR),-DLIBTORCH_DIR=$(LIBTORCH_DIR))

.PHONY: help setup build test demo fast asan tsan fuzz lint format bench clean

help:
	@echo "make demo            set up, build, run a whole federation on this machine (synthetic smears)"
	@echo "make demo DATA=DIR   the same with the pictures below DIR (layout: docs/pictures.md)"
	@echo "make demo FRESH=1    start the demo over instead of resuming it"
	@echo "make test            set up, build, run all tests"
	@echo "make fast            the quick tests of the development build"
	@echo "make asan|tsan|fuzz  build and test with that preset"
	@echo "make lint            clang-format and clang-tidy on the files that differ from BASE (default origin/main)"
	@echo "make bench           the benchmarks of tests/bench/"

setup:
	@LIBTORCH_DIR=$(LIBTORCH_DIR) scripts/setup.sh

build: setup
	cmake --preset $(PRESET) $(CMAKE_ARGS)
	cmake --build --preset $(PRESET) -j $(JOBS)

test: build
	ctest --preset $(PRESET) -j $(JOBS)

demo: build
	python3 scripts/demo.py --programs build/$(PRESET)/bin $(if $(DATA),--data $(DATA)) $(if $(FRESH),--fresh) $(DEMO_ARGS)

fast:
	$(MAKE) build PRESET=dev
	ctest --preset fast -j $(JOBS)

asan tsan fuzz:
	$(MAKE) test PRESET=$@

lint: setup
	scripts/lint.sh $(BASE)

format:
	git ls-files '*.cc' '*.h' | xargs clang-format-14 -i

bench: build
	scripts/bench.sh build/$(PRESET)/bin

clean:
	rm -rf build
