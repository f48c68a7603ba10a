# Targets:
#   app     what serves: the backend, the workers and the websocket server, each with its own command
#   test    app, and the tests that need neither browser, compiler, linters nor PostgreSQL; docker-compose.yml
#           builds this one, so that `docker compose run --rm backend python manage.py test` works as it is
#   dev     test, and what all other tests and the linters need: `docker compose --profile test run --rm tests`
#   lambda  the AWS Lambda function with its models, and nothing of Django; docs/lambda.md

# pip is the image's own: .venv has none, and so none of the images that run. Each purpose of packages but the
# first has a folder of its own in /opt.
ARG FACES_PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${FACES_PYTHON_IMAGE} AS compiler
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
WORKDIR /app
RUN python -m venv --without-pip .venv
ENV PATH=/app/.venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# --- packages, and what is made once: the converted models, the detector's compiled kernel
FROM compiler AS build
COPY requirements/app.txt requirements/aws.txt requirements/conversion.txt /requirements/
# yes: also what media on S3 and AWS Lambda need; docs/s3.md
ARG FACES_IMAGE_AWS=no
# Nothing that runs loads what is removed: tests, sources of translations and scripts, compilers of numpy,
# tools for training, the library that onnxruntime has for C.
RUN pip --python .venv install --require-hashes -r /requirements/app.txt \
 && if [ "$FACES_IMAGE_AWS" = yes ]; then pip --python .venv install --require-hashes -r /requirements/aws.txt; fi \
 && pip --python .venv install --require-hashes --prefix /opt/conversion -r /requirements/conversion.txt \
 && cd .venv/lib/python3.11/site-packages \
 && find numpy django drf_spectacular_sidecar -name tests -prune -exec rm -r {} + \
        -o '(' -name '*.po' -o -name '*.js.map' -o -name '*.pyi' ')' -exec rm {} + \
 && rm -r numpy/f2py onnxruntime/transformers onnxruntime/tools onnxruntime/quantization onnxruntime/capi/libonnxruntime.so.*
# A yunet*.onnx beside this file is OpenCV Zoo's, for FACES_YUNET_MODEL; docs/detector.md
COPY default.env yunet*.onnx ./
COPY wire wire
COPY faceengine faceengine
# Where YuNet's weights cannot be had, one line says so, and HOG finds the faces.
# Once they are converted only dlib's model of five landmarks is loaded; the tests need all.
RUN python -m faceengine.hog.build \
 && { python -m faceengine fetch --model-cache models || :; } \
 && export PYTHONPATH=/opt/conversion/lib/python3.11/site-packages \
 && python -m faceengine warm --model-cache models \
 && for own in yunet*.onnx; do \
        [ ! -f "$own" ] || python -m faceengine warm --model-cache models --yunet-model "$own" || exit; \
    done \
 && cd .venv/lib/python3.11/site-packages/face_recognition_models/models \
 && mkdir /opt/weights && mv shape_predictor_68* dlib_face_recognition* mmod* /opt/weights/

FROM ${FACES_PYTHON_IMAGE} AS app
RUN useradd --uid 10001 --create-home faces \
 && install -d -o faces -g faces /data /data/media
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FACES_MODEL_CACHE=/app/models \
    STORAGE_DIR=/data
COPY --from=build /app ./
# pyproject.toml has the version: wire/release.py.
COPY manage.py LICENSE pyproject.toml ./
COPY backend backend
COPY docs docs
COPY nginx nginx
COPY safe_http safe_http
COPY static static
COPY tools tools
COPY wsserver wsserver
# Compiled here, for the user who runs this may not write beside the sources.
RUN python -m compileall -q backend faceengine safe_http tools wire wsserver
USER 10001:10001
EXPOSE 8280 8284
CMD ["python", "-m", "tools.serve"]

# --- the packages of the tests, and their photographs
FROM build AS test-build
COPY requirements/aws.txt requirements/test.txt requirements/oracle.txt requirements/
RUN pip --python .venv install --require-hashes --prefix /opt/test -r requirements/aws.txt -r requirements/test.txt \
 && pip --python .venv install --require-hashes --prefix /opt/test --no-deps -r requirements/oracle.txt
COPY tests/__init__.py tests/
COPY tests/support tests/support
RUN PATH=/usr/local/bin:$PATH python -m tests.support.photographs \
 && { PATH=/usr/local/bin:$PATH python -m tests.support.sface || :; }

FROM app AS test
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl nginx-light redis-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=build /opt/conversion /opt/conversion
COPY --from=build /opt/weights .venv/lib/python3.11/site-packages/face_recognition_models/models
COPY --from=test-build /opt/test /opt/test
COPY --from=test-build /app/.cache .cache
COPY . .
RUN printf '/opt/%s/lib/python3.11/site-packages\n' conversion test dev \
        > .venv/lib/python3.11/site-packages/test.pth
# Tests that need one of these are skipped, and say so; tests/support/prerequisites.py
ENV TESTS_WITHOUT="browser compiler docs lint postgresql"
USER 10001:10001

FROM test-build AS dev-build
COPY requirements requirements
RUN printf '/opt/test/lib/python3.11/site-packages\n' > .venv/lib/python3.11/site-packages/test.pth \
 && for name in postgresql browser lint docs; do \
        pip --python .venv install --require-hashes --prefix /opt/dev -r requirements/$name.txt || exit; \
    done

FROM test AS dev
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends chromium g++ \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=dev-build /opt/dev /opt/dev
ENV TESTS_WITHOUT=""
USER 10001:10001

# --- what the Lambda function runs on: of the models' package only the files that it reads
FROM compiler AS lambda-build
COPY requirements/lambda.txt requirements/conversion.txt requirements/
RUN pip --python .venv install --require-hashes -r requirements/lambda.txt \
 && pip --python .venv install --require-hashes --prefix /opt/conversion -r requirements/conversion.txt
COPY LICENSE yunet*.onnx ./
COPY faceengine faceengine
RUN python -m faceengine.hog.build \
 && { python -m faceengine fetch --model-cache models || :; } \
 && export PYTHONPATH=/opt/conversion/lib/python3.11/site-packages \
 && python -m faceengine warm --model-cache models \
 && for own in yunet*.onnx; do \
        [ ! -f "$own" ] || python -m faceengine warm --model-cache models --yunet-model "$own" || exit; \
    done \
 && rm -r faceengine/tests faceengine/hog/tests \
 && cd .venv/lib/python3.11/site-packages/face_recognition_models/models \
 && rm shape_predictor_68* dlib_face_recognition* mmod*
COPY wire wire
COPY safe_http safe_http
COPY lambdaworker lambdaworker
RUN rm -r wire/tests safe_http/tests lambdaworker/tests lambdaworker/terraform requirements \
 && python -m compileall -q .

FROM ${FACES_PYTHON_IMAGE} AS lambda
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
USER 10001:10001
EXPOSE 8080
# As AWS's own images do: without a runtime API to ask, run an emulator of one.
ENTRYPOINT ["/bin/sh", "-c", "if [ -n \"$AWS_LAMBDA_RUNTIME_API\" ]; then exec python -m awslambdaric \"$0\"; else exec python -m lambdaworker.emulator --bind 0.0.0.0 --port 8080 --handler \"$0\"; fi"]
CMD ["lambdaworker.handler.handler"]
