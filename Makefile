# make            build/net2c
# make demo       AlexNet with seeded weights: compiled, verified, run on a photograph
# make check      every test
# make check-full the exact-integer grid once more, every shape on every row: half an hour
# make check-asan the quick tests under AddressSanitizer and UBSan
# make bench      each layer beside the machine's own limits
# make bench-peers  whole networks beside every rival that can be installed (PEERS= MODELS= THREADS=
#                   BATCHES= ROUNDS= OURS=)
# make bench-ablate   what each optional pass brings
# make bench-publish  pictures in docs/figures, tables in README.md and bench/README.md from these
# make bench-convolutions  sixty random shapes beside the multiply-add loop
# make generated  the sample output in generated/ once more
# make clean      removes what the above made (also out/)
#
# demo and check first install the Debian packages that are missing (tools/deps.sh);
# NET2C_NO_INSTALL=1 prints that command instead and ends with status 5.

JOBS ?= $(shell nproc)

.PHONY: all build demo check check-full check-asan bench bench-peers bench-ablate \
        bench-publish bench-convolutions fixtures generated clean

all: build

build:
	@cmake -S . -B build >build.log 2>&1 || { cat build.log; exit 1; }
	@rm -f build.log
	@cmake --build build -j$(JOBS)

demo:
	@bash tools/deps.sh build demo
	@$(MAKE) --no-print-directory build
	@bash tools/demo.sh

check:
	@bash tools/deps.sh build test
	@$(MAKE) --no-print-directory build
	@ctest --test-dir build -j$(JOBS) --output-on-failure

check-full:
	@bash tools/deps.sh build test
	@$(MAKE) --no-print-directory build
	@python3 tests/e2e/test_grid.py --full

check-asan:
	@bash tools/deps.sh build test
	@cmake --preset asan >/dev/null
	@cmake --build --preset asan -j$(JOBS)
	@ctest --preset asan -j$(JOBS)

bench: build
	@cmake --build build --target fma_loop stream
	@python3 bench/layers.py

bench-convolutions: build
	@cmake --build build --target fma_loop stream
	@python3 bench/convolutions.py

bench-peers: build
	@bash tools/deps.sh bench
	@cmake --build build --target fma_loop stream
	@python3 bench/peers.py $(foreach o,PEERS MODELS THREADS BATCHES ROUNDS OURS,\
		$(if $($(o)),--$(shell echo $(o) | tr A-Z a-z)=$($(o))))

bench-ablate: build
	@python3 bench/ablate.py

bench-publish:
	@python3 bench/chart.py

fixtures: build
	@bash tools/deps.sh fixtures
	@/usr/bin/python3 tests/fixtures/make_fixtures.py

generated: build
	@bash tools/generated.sh

clean:
	rm -rf build out
