/* What the program of main.c asks of the device it runs on: files by name, and words for whoever watches. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stddef.h>

int device_open(const char *name, int write); /* a handle, or a negative number */
int device_read(int file, void *to, size_t count); /* whether that many bytes were there */
int device_write(int file, const void *from, size_t count);
void device_close(int file);
void device_say(const char *text);

#endif
