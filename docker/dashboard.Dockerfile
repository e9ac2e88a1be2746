# The dashboard; linux/amd64 and linux/arm64.
FROM python:3.12-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --uid 10001 --create-home edgewatt
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY artifacts artifacts
COPY broker broker
COPY controller controller
COPY dashboard dashboard
COPY data data
COPY edge_agent edge_agent
RUN pip install '.[dashboard]'
USER edgewatt
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=2)"]
CMD ["python", "-m", "dashboard", "--server.address=0.0.0.0", "--server.port=8501"]
