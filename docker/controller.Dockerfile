# The controller, and the command `edgewatt`; linux/amd64 and linux/arm64.
FROM python:3.12-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Volumes take the owner of what the image has in their place.
RUN useradd --uid 10001 --create-home edgewatt \
    && for part in security broker controller cache; do \
        install -d -m 0750 -o edgewatt -g edgewatt "/var/lib/edgewatt/$part"; done
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY artifacts artifacts
COPY broker broker
COPY controller controller
COPY dashboard dashboard
COPY data data
COPY edge_agent edge_agent
RUN pip install '.[onnx,controller,signed]'
USER edgewatt
ENV EDGEWATT_DATA=/var/lib/edgewatt/controller/data
VOLUME /var/lib/edgewatt/controller
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/readyz', timeout=2)"]
CMD ["python", "-m", "controller", "--host", "0.0.0.0", "--port", "5000"]
