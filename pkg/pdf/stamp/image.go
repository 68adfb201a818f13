package stamp

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"sync"

	"golang.org/x/image/draw"
)

// The bounds of an image. Reading the largest one takes less than 200 MB.
const (
	MaxImageBytes  = 8 << 20
	MaxImagePixels = 4096 * 3072
)

// resolution is the number of pixels per inch that an image keeps at most.
const resolution = 300

// bitmap is an image file whose size is known and bounded.
type bitmap struct {
	data          []byte
	photo         bool // JPEG
	orientation   int
	width, height int // as it is to be seen
}

// open reads the head of an image.
func open(data []byte) (bitmap, error) {
	if len(data) > MaxImageBytes {
		return bitmap{}, fmt.Errorf("%w: %d bytes; use at most %d", ErrImage, len(data), MaxImageBytes)
	}
	b := bitmap{data: data, photo: bytes.HasPrefix(data, []byte{0xFF, 0xD8}), orientation: 1}
	read := png.DecodeConfig
	if b.photo {
		read, b.orientation = jpeg.DecodeConfig, orientation(data)
	}
	size, err := read(bytes.NewReader(data))
	if err != nil {
		return bitmap{}, fmt.Errorf("%w: it is no PNG or JPEG file, or damaged; export it anew", ErrImage)
	}
	b.width, b.height = size.Width, size.Height
	if b.width < 1 || b.height < 1 || b.width > MaxImagePixels/b.height {
		return bitmap{}, fmt.Errorf("%w: %d by %d pixels; use at most %d in all", ErrImage, b.width, b.height, MaxImagePixels)
	}
	if b.orientation >= 5 {
		b.width, b.height = b.height, b.width
	}
	return b, nil
}

func (b bitmap) aspect() float64 { return float64(b.width) / float64(b.height) }

func (b bitmap) place(l *layout, in area) error {
	at := in.centre(b.aspect())
	scale := min(1, at.w/72*resolution/float64(b.width), at.h/72*resolution/float64(b.height))
	w, h := max(int(math.Round(float64(b.width)*scale)), 1), max(int(math.Round(float64(b.height)*scale)), 1)
	p, err := prepared.get(imageKey{sha256.Sum256(b.data), w, h}, b)
	if err != nil {
		return err
	}
	l.add(picture{at, p})
	return nil
}

// pixels reads the image and scales it down to a size.
func (b bitmap) pixels(width, height int) (*pixels, error) {
	read := png.Decode
	if b.photo {
		read = jpeg.Decode
	}
	img, err := read(bytes.NewReader(b.data))
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged; export it anew", ErrImage)
	}
	if b.orientation != 1 {
		img = turned{img, b.orientation}
	}
	scaled := image.NewRGBA(image.Rect(0, 0, width, height))
	if b.width != width || b.height != height {
		draw.CatmullRom.Scale(scaled, scaled.Rect, img, img.Bounds(), draw.Src, nil)
	} else {
		draw.Draw(scaled, scaled.Rect, img, img.Bounds().Min, draw.Src)
	}
	return flatten(scaled, b.photo), nil
}

// flatten takes the transparency out: what is half transparent is mixed with white, what is
// wholly transparent is masked out. PDF/A-1 forbids more.
func flatten(img *image.RGBA, photo bool) *pixels {
	p := &pixels{rgb: img, photo: photo}
	if !img.Opaque() {
		p.mask = image.NewAlpha(img.Rect)
		for i := range p.mask.Pix {
			px := img.Pix[4*i : 4*i+4]
			const visible = 8
			if px[3] >= visible {
				p.mask.Pix[i] = 255
			}
			for c := range 3 { // the colours are multiplied with the opacity
				px[c] += 255 - px[3]
			}
			px[3] = 255
		}
	}
	p.encode = sync.OnceValues(func() (encoded, error) { return encodePixels(p) })
	return p
}

// prepared keeps the images used last: a logo comes with every signature of its owner.
var prepared = imageCache{images: map[imageKey]*pixels{}}

// imageKey names an image by what it holds, and by its size in pixels.
type imageKey struct {
	sum           [sha256.Size]byte
	width, height int
}

// imageCache holds a few small images.
type imageCache struct {
	mu     sync.Mutex
	images map[imageKey]*pixels
	order  []imageKey // oldest first
}

func (c *imageCache) get(key imageKey, b bitmap) (*pixels, error) {
	const most, large = 16, 1 << 18 // with its encoded form, an image takes at most about 2 MB
	c.mu.Lock()
	p := c.images[key]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := b.pixels(key.width, key.height)
	if err != nil || key.width*key.height > large {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.images[key] == nil {
		if len(c.order) == most {
			delete(c.images, c.order[0])
			c.order = append(c.order[:0], c.order[1:]...)
		}
		c.images[key] = p
		c.order = append(c.order, key)
	}
	return p, nil
}

// orientation reads how a camera was held (Exif 2.3, tag 0x0112): 1 is upright.
func orientation(data []byte) int {
	for at := 2; at+4 <= len(data) && data[at] == 0xFF; {
		n := int(data[at+2])<<8 | int(data[at+3])
		if data[at+1] == 0xDA || n < 2 || at+2+n > len(data) {
			break
		}
		if segment := data[at+4 : at+2+n]; data[at+1] == 0xE1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			return exifOrientation(segment[6:])
		}
		at += 2 + n
	}
	return 1
}

func exifOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	number := func(at, n int) int {
		v := 0
		for i := range n {
			shift := 8 * i
			if tiff[0] == 'M' {
				shift = 8 * (n - 1 - i)
			}
			v |= int(tiff[at+i]) << shift
		}
		return v
	}
	at := number(4, 4)
	if at < 8 || at+2 > len(tiff) {
		return 1
	}
	for i := range number(at, 2) {
		entry := at + 2 + 12*i
		if entry+12 > len(tiff) {
			break
		}
		if o := number(entry+8, 2); number(entry, 2) == 0x0112 && o >= 1 && o <= 8 {
			return o
		}
	}
	return 1
}

// turned shows an image as the camera was held.
type turned struct {
	image.Image
	orientation int
}

func (t turned) Bounds() image.Rectangle {
	size := t.Image.Bounds().Size()
	if t.orientation >= 5 {
		size.X, size.Y = size.Y, size.X
	}
	return image.Rectangle{Max: size}
}

func (t turned) At(x, y int) color.Color {
	b := t.Image.Bounds()
	right, bottom := b.Max.X-1, b.Max.Y-1
	switch t.orientation {
	case 2:
		return t.Image.At(right-x, b.Min.Y+y)
	case 3:
		return t.Image.At(right-x, bottom-y)
	case 4:
		return t.Image.At(b.Min.X+x, bottom-y)
	case 5:
		return t.Image.At(b.Min.X+y, b.Min.Y+x)
	case 6:
		return t.Image.At(b.Min.X+y, bottom-x)
	case 7:
		return t.Image.At(right-y, bottom-x)
	default: // 8
		return t.Image.At(right-y, b.Min.Y+x)
	}
}
