# Targets:
#   app     what serves: the backend, the workers and the websocket server, each with its own command
#   test    app, and the tests that need neither browser, compiler, linters nor PostgreSQL; docker-compose.yml
#           builds this one, so that `docker compose run --rm backend python manage.py test` works as it is
#   dev     test, and what all other tests and the linters need: `docker compose --profile test run --rm tests`
#   lambda  the AWS Lambda function with its models, and nothing of Django; docs/lambda.md

FROM python:3.11-slim-bookworm AS compiler
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
RUN python -m venv .venv
ENV PATH=/app/.venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# --- packages, and what is made once: the converted models, the detector's compiled kernel
FROM compiler AS build
COPY requirements/app.txt requirements/conversion.txt requirements/
RUN pip install --require-hashes -r requirements/app.txt -r requirements/conversion.txt
COPY default.env ./
COPY wire wire
COPY faceengine faceengine
RUN python -m faceengine.hog.build && python -m faceengine warm --model-cache models

# Without what is needed before it runs only, and without the landmarks model that is never loaded.
FROM build AS app-build
# FACES_IMAGE_AWS=yes: media on S3, AWS Lambda; docs/s3.md
ARG FACES_IMAGE_AWS=no
COPY requirements/aws.txt requirements/
RUN if [ "$FACES_IMAGE_AWS" = yes ]; then pip install --require-hashes -r requirements/aws.txt; fi \
 && rm .venv/lib/python3.11/site-packages/face_recognition_models/models/shape_predictor_68* \
 && rm -r requirements \
 && pip uninstall --yes --quiet onnx ml_dtypes setuptools pip

FROM build AS test-build
COPY requirements/test.txt requirements/oracle.txt requirements/
RUN pip install --require-hashes -r requirements/test.txt \
 && pip install --require-hashes --no-deps -r requirements/oracle.txt
COPY tests/__init__.py tests/
COPY tests/support tests/support
RUN python -m tests.support.photographs && pip uninstall --yes --quiet pip

# --- what runs
FROM python:3.11-slim-bookworm AS runtime
RUN useradd --uid 10001 --create-home faces \
 && install -d -o faces -g faces /data /data/media
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FACES_MODEL_CACHE=/app/models \
    STORAGE_DIR=/data
EXPOSE 8280 8284
CMD ["gunicorn", "-c", "tools/gunicorn_conf.py", "backend.wsgi"]

FROM runtime AS app
COPY --from=app-build /app /app
COPY default.env manage.py LICENSE ./
COPY backend backend
COPY safe_http safe_http
COPY static static
COPY tools tools
COPY wsserver wsserver
# Compiled here, for the user who runs this may not write beside the sources.
RUN python -m compileall -q backend faceengine safe_http tools wire wsserver
USER 10001:10001

FROM runtime AS test
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl nginx-light redis-server \
 && rm -rf /var/lib/apt/lists/*
COPY --from=test-build /app /app
COPY . .
RUN python -m compileall -q backend faceengine safe_http tools wire wsserver
# Tests that need one of these are skipped, and say so; tests/support/prerequisites.py
ENV TESTS_WITHOUT="browser compiler docs postgresql"
USER 10001:10001

FROM test-build AS dev-build
RUN python -m ensurepip
COPY requirements requirements
RUN for name in postgresql browser lint docs; do pip install --require-hashes -r requirements/$name.txt || exit; done

FROM test AS dev
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends chromium g++ \
 && rm -rf /var/lib/apt/lists/*
COPY --from=dev-build /app/.venv .venv
ENV TESTS_WITHOUT=""
USER 10001:10001

# --- what the Lambda function runs on: of the models' package only the files that it reads, and
# without what was needed to convert them
FROM compiler AS lambda-build
COPY requirements/lambda.txt requirements/conversion.txt requirements/
RUN pip install --require-hashes -r requirements/lambda.txt -r requirements/conversion.txt
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
