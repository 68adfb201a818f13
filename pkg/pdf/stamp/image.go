package stamp

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	stddraw "image/draw"
	"image/jpeg"
	"image/png"
	"math"

	"golang.org/x/image/draw"
)

// The bounds of an image. Reading the largest one takes less than 200 MB.
const (
	MaxImageBytes  = 8 << 20
	MaxImagePixels = 4096 * 3072
)

// resolution is the number of pixels per inch that an image keeps at most.
const resolution = 300

// bitmap is an image as it was read.
type bitmap struct {
	image image.Image
	photo bool
}

// decode reads an image whose size is bounded before anything is unpacked.
func decode(data []byte) (bitmap, error) {
	if len(data) > MaxImageBytes {
		return bitmap{}, fmt.Errorf("%w: %d bytes; use at most %d", ErrImage, len(data), MaxImageBytes)
	}
	config, read := png.DecodeConfig, png.Decode
	photo := bytes.HasPrefix(data, []byte{0xFF, 0xD8})
	if photo {
		config, read = jpeg.DecodeConfig, jpeg.Decode
	}
	size, err := config(bytes.NewReader(data))
	if err != nil {
		return bitmap{}, fmt.Errorf("%w: it is no PNG or JPEG file, or damaged; export it anew", ErrImage)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > MaxImagePixels/size.Height {
		return bitmap{}, fmt.Errorf("%w: %d by %d pixels; use at most %d in all", ErrImage, size.Width, size.Height, MaxImagePixels)
	}
	decoded, err := read(bytes.NewReader(data))
	if err != nil {
		return bitmap{}, fmt.Errorf("%w: it is damaged; export it anew", ErrImage)
	}
	if photo {
		decoded = upright(decoded, orientation(data))
	}
	return bitmap{decoded, photo}, nil
}

func (b bitmap) aspect() float64 {
	size := b.image.Bounds().Size()
	return float64(size.X) / float64(size.Y)
}

func (b bitmap) place(l *layout, in area) {
	at := in.centre(b.aspect())
	if at.w <= 0 || at.h <= 0 {
		return
	}
	l.add(picture{at, b.flatten(at)})
}

// flatten makes the pixels for an area: at most those that show, without transparency.
// What is half transparent is mixed with white; what is wholly transparent is masked
// out, because PDF/A-1 forbids more.
func (b bitmap) flatten(at area) *pixels {
	size := b.image.Bounds().Size()
	scale := min(1, at.w/72*resolution/float64(size.X), at.h/72*resolution/float64(size.Y))
	w, h := max(int(math.Round(float64(size.X)*scale)), 1), max(int(math.Round(float64(size.Y)*scale)), 1)
	scaled := image.NewRGBA(image.Rect(0, 0, w, h))
	if scale < 1 {
		draw.CatmullRom.Scale(scaled, scaled.Rect, b.image, b.image.Bounds(), draw.Src, nil)
	} else {
		stddraw.Draw(scaled, scaled.Rect, b.image, b.image.Bounds().Min, stddraw.Src)
	}
	p := &pixels{rgb: scaled, photo: b.photo}
	if scaled.Opaque() {
		return p
	}
	p.mask = image.NewAlpha(scaled.Rect)
	for i := range p.mask.Pix {
		px := scaled.Pix[4*i : 4*i+4]
		const visible = 8
		if px[3] >= visible {
			p.mask.Pix[i] = 255
		}
		for c := range 3 { // the colours are multiplied with the opacity
			px[c] += 255 - px[3]
		}
		px[3] = 255
	}
	return p
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

func upright(img image.Image, orientation int) image.Image {
	if orientation == 1 {
		return img
	}
	return turned{img, orientation}
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
