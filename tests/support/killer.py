"""Runs a superfeed.py and kills it before the Nth thing it does to the world.

python killer.py N COUNT-FILE superfeed.py OPTIONS... Things are: a file opened for writing, moved
or removed, a folder made, a program started, a request sent. The file gets their number when the
run came to its end.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

nth, count_file, script = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ACTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen", "http.client.send"}
done = []


def watch(event, details):
    if event in ACTS or (event == "open" and (details[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        done.append(event)
        if len(done) == nth:
            os.kill(os.getpid(), signal.SIGKILL)


sys.path[0] = str(Path(script).parent)  # support has a git.py of its own
spec = importlib.util.spec_from_file_location("superfeed", script)
superfeed = sys.modules["superfeed"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(superfeed)
sys.addaudithook(watch)
code = superfeed.main(sys.argv[4:])
Path(count_file).write_text(str(len(done)))
sys.exit(code)
