# ragguard without PyTorch: requirements-slim.txt, a user that is not root, and nothing to build with.
#
#   docker build -t ragguard:0.1.0 .
#   docker run --rm --network none -v ragguard:/workspace ragguard:0.1.0 init .
#
# tests/shipped/test_containers.py lints this file and carries its steps out in a plain folder.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements-slim.txt constraints.txt ./
RUN python -m venv --without-pip /app/ragguard \
    && python -m pip --python /app/ragguard/bin/python install --no-cache-dir --no-deps -r requirements-slim.txt \
    && python -m pip install --no-cache-dir -c constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
COPY corpora corpora
COPY ragguard ragguard
RUN python -m hatchling build -t wheel -d /src/dist \
    && python -m pip --python /app/ragguard/bin/python install --no-cache-dir --no-deps /src/dist/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="ragguard" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app/ragguard /app/ragguard
RUN groupadd --gid 10001 ragguard \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /workspace --shell /usr/sbin/nologin ragguard \
    && install -d -o 10001 -g 10001 -m 0700 /workspace
ENV PATH=/app/ragguard/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    RAGGUARD_WORKSPACE=/workspace \
    XDG_CACHE_HOME=/tmp/cache
USER 10001:10001
WORKDIR /workspace
VOLUME ["/workspace"]
ENTRYPOINT ["ragguard"]
CMD ["--help"]
