# The agent; linux/amd64, linux/arm64 and linux/arm/v7, also by builders without BuildKit, such as balena's.
# Debian 12 has Python 3.11, the last for which tflite-runtime is made; for 32-bit ARM there are no wheels of numpy, psutil and
# cryptography, which Debian has, nor of onnxruntime and msgspec, which the agent does without.
FROM debian:bookworm-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && if [ "$(dpkg --print-architecture)" = armhf ]; then \
        apt-get install -y --no-install-recommends python3-cryptography python3-numpy python3-psutil; fi \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home edgewatt \
    && install -d -o edgewatt -g edgewatt /data /etc/edgewatt
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY broker broker
COPY edge_agent edge_agent
RUN if [ "$(dpkg --print-architecture)" = armhf ]; then \
        python3 -m venv --system-site-packages /opt/edgewatt \
        && /opt/edgewatt/bin/pip install 'paho-mqtt>=2.1,<3' \
        && /opt/edgewatt/bin/pip install --no-deps tflite-runtime==2.14.0 .; \
    else \
        python3 -m venv /opt/edgewatt \
        && /opt/edgewatt/bin/pip install '.[onnx,signed]'; fi
ENV PATH=/opt/edgewatt/bin:$PATH EDGEWATT_DATA=/data
USER edgewatt
VOLUME /data
# It has no door to ask at: its health is what it says on the bus, and a task of it that dies takes it down.
HEALTHCHECK NONE
ENTRYPOINT ["edgewatt-agent"]
CMD ["run"]
