# A service's image in two stages: one has the compiler and builds the wheel, the other has nothing but the installed
# wheel and an ordinary user. The driver library is in the wheel.

FROM docker.io/library/debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir build
WORKDIR /source
COPY setup.py pyproject.toml README.md LICENSE NOTICE ./
COPY vendor vendor
COPY src_cpp src_cpp
COPY acsylla_like acsylla_like
RUN /opt/build/bin/python -m build --wheel --outdir /wheels . \
    && python3 -m venv /opt/service \
    && /opt/service/bin/pip install --no-cache-dir --no-index /wheels/*.whl \
    && /opt/service/bin/pip uninstall --yes setuptools pip

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 zlib1g libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home service
COPY --from=build /opt/service /opt/service
ENV PATH=/opt/service/bin:$PATH
USER service
WORKDIR /home/service
CMD ["python", "-c", "import acsylla_like; print(acsylla_like.driver_info())"]
