/* A Win32 program that knows nothing of mapio: sections, mutexes, events and semaphores by their names.
 *
 *     peer make NAME TEXT    makes a section of 100,000 bytes, writes TEXT into it, waits for a line, says what is there
 *     peer read NAME OFFSET  opens a section, and prints the text at a multiple of 64 KiB
 *     peer write NAME TEXT   opens a section, and writes TEXT into it
 *     peer lock NAME MS      waits for a mutex, says "held", "abandoned" or "busy", and keeps it until a line comes
 *     peer await NAME MS     waits for an event: "set" or "busy"
 *     peer set NAME -        sets an event that is reset by hand
 *     peer take NAME MS      takes a permit of a semaphore: "taken" or "busy"
 *     peer give NAME -       gives a permit back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int fail(const char *what)
{
    printf("%s: error %lu\n", what, GetLastError());
    return 2;
}

static int say(const char *text)
{
    puts(text);
    return fflush(stdout);
}

static int lock(const char *name, DWORD wait_ms)
{
    char line[64];
    HANDLE mutex = CreateMutexA(NULL, FALSE, name);
    if (!mutex)
        return fail("CreateMutex");
    DWORD got = WaitForSingleObject(mutex, wait_ms);
    if (got == WAIT_TIMEOUT)
        return say("busy");
    if (got != WAIT_OBJECT_0 && got != WAIT_ABANDONED)
        return fail("WaitForSingleObject");
    say(got == WAIT_ABANDONED ? "abandoned" : "held");
    fgets(line, sizeof line, stdin);
    return ReleaseMutex(mutex) ? 0 : fail("ReleaseMutex");
}

static int wait_for(HANDLE object, DWORD wait_ms, const char *text)
{
    if (!object)
        return fail("open");
    switch (WaitForSingleObject(object, wait_ms)) {
    case WAIT_OBJECT_0:
        return say(text);
    case WAIT_TIMEOUT:
        return say("busy");
    default:
        return fail("WaitForSingleObject");
    }
}

static int release(BOOL released)
{
    return released ? say("done") : fail("release");
}

int main(int argc, char **argv)
{
    char line[64];
    if (argc != 4)
        return 2;
    if (!strcmp(argv[1], "make")) {
        HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 100000, argv[2]);
        if (!section || GetLastError() == ERROR_ALREADY_EXISTS)
            return fail("CreateFileMapping");
        char *view = MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, 0);
        if (!view)
            return fail("MapViewOfFile");
        strcpy(view, argv[3]);
        puts("made");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            return 2;
        puts(view);
        UnmapViewOfFile(view);
        CloseHandle(section);
        return 0;
    }
    DWORD number = (DWORD)atoi(argv[3]);
    if (!strcmp(argv[1], "lock"))
        return lock(argv[2], number);
    if (!strcmp(argv[1], "await"))
        return wait_for(OpenEventA(SYNCHRONIZE, FALSE, argv[2]), number, "set");
    if (!strcmp(argv[1], "set"))
        return release(SetEvent(CreateEventA(NULL, TRUE, FALSE, argv[2])));
    if (!strcmp(argv[1], "take"))
        return wait_for(OpenSemaphoreA(SYNCHRONIZE, FALSE, argv[2]), number, "taken");
    if (!strcmp(argv[1], "give"))
        return release(ReleaseSemaphore(OpenSemaphoreA(SEMAPHORE_MODIFY_STATE, FALSE, argv[2]), 1, NULL));
    HANDLE section = OpenFileMappingA(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, argv[2]);
    if (!section)
        return fail("OpenFileMapping");
    if (!strcmp(argv[1], "read")) {
        char *view = MapViewOfFile(section, FILE_MAP_READ, 0, number, 32);
        if (!view)
            return fail("MapViewOfFile");
        puts(view);
    } else {
        char *view = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 0);
        if (!view)
            return fail("MapViewOfFile");
        strcpy(view, argv[3]);
        puts("written");
    }
    return 0;
}
