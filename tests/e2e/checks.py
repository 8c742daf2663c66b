"""checks: what tests in Python share, as check.sh does for those in bash.

    check(text == want, "what was wanted")      counts, and says what failed
    sys.exit(report("schedules"))               prints the numbers; 1 if a check failed
"""
count = failed = 0


def check(good, what):
    global count, failed
    count += 1
    if not good:
        failed += 1
        print("FAIL:", what)


def report(name):
    print(f"{name}: {count} checks, {failed} failures")
    return 1 if failed else 0
