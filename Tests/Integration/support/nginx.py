"""nginx from Debian with a configuration of the test's own, in the foreground, as an ordinary child process."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .broker import free_port
from .waiting import wait_for

MODULES = Path("/usr/lib/nginx/modules")
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
STREAM = MODULES / "ngx_stream_module.so"


class Nginx:
    """`configuration` is what stands beside `events`; `{port}` in it is the port that nginx listens on."""

    def __init__(self, configuration: str):
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="nx-"))
        os.chmod(self.folder, 0o755)
        text = (f"load_module {STREAM};\n" if "stream {" in configuration else "") + f"""
daemon off; master_process off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 512; }}
""" + configuration.replace("{port}", str(self.port)).replace("{folder}", str(self.folder))
        (self.folder / "nginx.conf").write_text(text)
        self.process = subprocess.Popen([PROGRAM, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_for(self._listens, 10, self._errors)

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"nginx ended: {self._errors()}"
        table = "".join(Path(path).read_text() for path in ("/proc/net/tcp", "/proc/net/tcp6"))
        return any(f":{self.port:04X} " in line and " 0A " in line for line in table.splitlines())

    def _errors(self) -> str:
        log = self.folder / "error.log"
        return (log.read_text() if log.exists() else "") + ("" if self.process.poll() is None else self.process.stdout.read().decode())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)


HTTP_PATHS = """
client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d;
scgi_temp_path {folder}/e; access_log off;
"""
