# duetto serve, with PostgreSQL or its own SQLite file. Build: docker build -t duetto .
FROM python:3.11-slim AS built
WORKDIR /src
COPY . .
# The versions that were tested; of PyTorch (the embedder minilm) nothing is installed here.
RUN python -m venv /opt/duetto \
 && /opt/duetto/bin/pip install --no-cache-dir -c constraints.txt ".[serve,postgres]"

FROM python:3.11-slim
# LightGBM and implicit need OpenMP's library, which slim images lack.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home --home-dir /home/duetto duetto \
 && install -d -o duetto -g duetto /data /cache
COPY --from=built /opt/duetto /opt/duetto
ENV PATH=/opt/duetto/bin:$PATH DUETTO_DATA=/data DUETTO_CACHE=/cache PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE
USER duetto
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# An index (`duetto build`) is mounted at /index, and the keys (`duetto key`) at /run/secrets/duetto-keys.
CMD ["duetto", "serve", "--index", "/index", "--host", "0.0.0.0", "--port", "8000", "--keys", "/run/secrets/duetto-keys"]
