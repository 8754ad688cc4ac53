"""Sign-in costs nothing until somebody signs in."""

import subprocess
import sys


def test_the_libraries_are_imported_when_first_needed() -> None:
    asked = (
        "import sys, tollkeeper.signin as s; s.SignInService([], clock=lambda: 0); "
        "print(*{'authlib', 'joserfc', 'cryptography', 'httpx2'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.stdout.strip(), ran.stderr, ran.returncode) == ("", "", 0)
