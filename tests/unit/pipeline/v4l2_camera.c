/* A Video4Linux camera for tests, where the kernel has none: preloaded, it answers for one path.

   gcc -shared -fPIC -o v4l2_camera.so v4l2_camera.c
   LD_PRELOAD=./v4l2_camera.so CAMERA_PATH=/tmp/video0 CAMERA_JPEG=card.jpg python ...

   It speaks motion JPEG alone, as CAMERA_JPEG shows it, 64 x 48, thirty times a second, and is
   unplugged as soon as CAMERA_PATH is not there: then its ioctls fail with ENODEV, as the kernel's.
   With CAMERA_FAILS=start it opens and never starts, as one for which the USB bus has no room; with
   CAMERA_FAILS=read its pictures cannot be taken, at which OpenCV's driver hangs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { WIDTH = 64, HEIGHT = 48, BUFFERS = 4, ROOM = 65536 };

static int camera = -1;
static unsigned char *memory;
static int queued[64], first, count;

static int is_camera(const char *path) {
  const char *ours = getenv("CAMERA_PATH");
  return ours != NULL && strcmp(path, ours) == 0;
}

static int opened(const char *path) {
  if (access(path, F_OK) != 0) return -1;
  camera = memfd_create("camera", 0);
  if (camera < 0 || ftruncate(camera, BUFFERS * ROOM) != 0) return -1;
  memory = mmap(NULL, BUFFERS * ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, camera, 0);
  first = count = 0;
  return camera;
}

#define OPEN(NAME)                                                       \
  int NAME(const char *path, int flags, ...) {                           \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;  \
    va_end(rest);                                                        \
    if (is_camera(path)) return opened(path);                            \
    static int (*real)(const char *, int, ...);                          \
    if (!real) real = dlsym(RTLD_NEXT, #NAME);                           \
    return real(path, flags, mode);                                      \
  }
OPEN(open)
OPEN(open64)

static void describe(struct v4l2_pix_format *format) {
  format->width = WIDTH;
  format->height = HEIGHT;
  format->pixelformat = V4L2_PIX_FMT_MJPEG;
  format->field = V4L2_FIELD_NONE;
  format->sizeimage = ROOM;
  format->bytesperline = 0;
}

static int fails(const char *at) {
  const char *wish = getenv("CAMERA_FAILS");
  return wish != NULL && strcmp(wish, at) == 0;
}

static int taken(struct v4l2_buffer *buffer) {
  if (fails("read")) return usleep(10000), errno = EIO, -1;
  if (count == 0) return errno = EAGAIN, -1;
  usleep(1000000 / 30);
  buffer->index = queued[first];
  first = (first + 1) % 64, count--;
  FILE *file = fopen(getenv("CAMERA_JPEG"), "rb");
  buffer->bytesused = fread(memory + buffer->index * ROOM, 1, ROOM, file);
  fclose(file);
  buffer->flags = V4L2_BUF_FLAG_DONE;
  buffer->length = ROOM;
  buffer->m.offset = buffer->index * ROOM;
  gettimeofday(&buffer->timestamp, NULL);
  return 0;
}

static int answered(unsigned long request, void *what) {
  if (access(getenv("CAMERA_PATH"), F_OK) != 0) return errno = ENODEV, -1;
  struct v4l2_buffer *buffer = what;
  switch (request) {
    case VIDIOC_QUERYCAP: {
      struct v4l2_capability *can = what;
      memset(can, 0, sizeof *can);
      strcpy((char *)can->driver, "test");
      strcpy((char *)can->card, "test camera");
      can->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
      return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
      describe(&((struct v4l2_format *)what)->fmt.pix);
      return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
      struct v4l2_streamparm *pace = what;
      pace->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
      pace->parm.capture.timeperframe.numerator = 1;
      pace->parm.capture.timeperframe.denominator = 30;
      return 0;
    }
    case VIDIOC_REQBUFS: {
      struct v4l2_requestbuffers *wish = what;
      if (wish->count > BUFFERS) wish->count = BUFFERS;
      first = count = 0;
      return 0;
    }
    case VIDIOC_QUERYBUF:
      buffer->length = ROOM;
      buffer->m.offset = buffer->index * ROOM;
      return 0;
    case VIDIOC_QBUF:
      queued[(first + count++) % 64] = buffer->index;
      return 0;
    case VIDIOC_DQBUF:
      return taken(buffer);
    case VIDIOC_STREAMON:
      if (fails("start")) return errno = ENOSPC, -1;
      return 0;
    case VIDIOC_STREAMOFF:
      return 0;
    case VIDIOC_G_INPUT:
    case VIDIOC_S_INPUT:
      *(int *)what = 0;
      return 0;
    default:
      return errno = EINVAL, -1;
  }
}

int ioctl(int descriptor, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *what = va_arg(rest, void *);
  va_end(rest);
  if (descriptor == camera && _IOC_TYPE(request) == 'V') return answered(request, what);
  static int (*real)(int, unsigned long, ...);
  if (!real) real = dlsym(RTLD_NEXT, "ioctl");
  return real(descriptor, request, what);
}
