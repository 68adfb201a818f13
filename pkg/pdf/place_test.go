package pdf_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pages, spec int
		want        []int
		err         error
	}{
		{3, 1, []int{1}, nil},
		{3, 3, []int{3}, nil},
		{3, pdf.LastPage, []int{3}, nil},
		{3, pdf.AllPages, []int{1, 2, 3}, nil},
		{3, pdf.FirstAndLastPage, []int{1, 3}, nil},
		{1, pdf.FirstAndLastPage, []int{1}, nil},
		{3, 4, nil, pdf.ErrPageRange},
		{3, 0, nil, pdf.ErrPageRange},
		{3, -4, nil, pdf.ErrPageRange},
		{0, pdf.LastPage, nil, pdf.ErrNoPages},
	} {
		got, err := pdf.Resolve(c.pages, c.spec)
		require.ErrorIs(t, err, c.err)
		require.Equal(t, c.want, got)
	}
}

// shown is a page of that size as it is shown, turned and cropped and scaled.
func shown(width, height float64, rotate int, unit float64) pdf.PageInfo {
	w, h := width/unit, height/unit
	if rotate%180 != 0 {
		w, h = h, w
	}
	crop := pdf.Rect{LLX: 30, LLY: -20, URX: 30 + w, URY: -20 + h}
	return pdf.PageInfo{
		Number: 2, MediaBox: pdf.Rect{LLX: 0, LLY: -100, URX: 60 + w, URY: 100 + h}, CropBox: crop,
		Rotate: rotate, UserUnit: unit, Width: width, Height: height,
	}
}

func TestCompass(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]float64{{595, 842}, {842, 595}, {200, 100}, {50, 20}} {
		page := shown(size[0], size[1], 0, 1)
		boxes := make([]pdf.Box, 10)
		for position := 1; position <= 9; position++ {
			box, err := pdf.Compass(page, position)
			require.NoError(t, err)
			placed, err := page.Place(box)
			require.NoError(t, err, "position %d", position)
			require.Equal(t, box, placed)
			require.Equal(t, 2, box.Page)
			boxes[position] = box
		}
		for row := range 3 {
			for column := range 2 {
				left, right := boxes[3*row+column+1], boxes[3*row+column+2]
				require.Less(t, left.URX, right.LLX, "columns must not overlap")
				upper, lower := boxes[3*column+row+1], boxes[3*column+row+4]
				require.Greater(t, upper.LLY, lower.URY, "rows must not overlap")
			}
		}
		require.InDelta(t, size[0], boxes[5].LLX+boxes[5].URX, 0.02, "5 is the centre")
		require.InDelta(t, size[1], boxes[5].LLY+boxes[5].URY, 0.02, "5 is the centre")
	}
	box, err := pdf.Compass(shown(595, 842, 0, 1), pdf.Invisible)
	require.NoError(t, err)
	require.True(t, box.Empty())
	for _, position := range []int{0, 10, -2} {
		_, err := pdf.Compass(shown(595, 842, 0, 1), position)
		require.ErrorIs(t, err, pdf.ErrPosition)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	page := shown(595, 842, 90, 1)
	want := pdf.Box{Page: 2, LLX: 75, LLY: 600, URX: 200, URY: 665}
	for _, b := range []pdf.Box{
		{1, 75, 600, 200, 665}, {1, 200, 665, 75, 600}, {1, 75, 665, 200, 600}, {1, 200, 600, 75, 665},
	} {
		got, err := page.Place(b)
		require.NoError(t, err)
		require.Equal(t, want, got, "the order of the corners must not matter")
	}
	for name, b := range map[string]pdf.Box{
		"no width":     {1, 75, 600, 75, 665},
		"no height":    {1, 75, 600, 200, 600},
		"nothing":      {},
		"right of it":  {1, 500, 600, 700, 665},
		"above it":     {1, 75, 800, 200, 900},
		"left of it":   {1, -20, 600, 100, 665},
		"below it":     {1, 75, -20, 200, 30},
		"not a number": {1, math.NaN(), 600, 200, 665},
		"infinite":     {1, 75, 600, math.Inf(1), 665},
	} {
		_, err := page.Place(b)
		require.ErrorIs(t, err, pdf.ErrOutsidePage, name)
	}
}

func TestUserSpaceAndBack(t *testing.T) {
	t.Parallel()
	b := pdf.Box{Page: 2, LLX: 10, LLY: 20, URX: 110, URY: 60}
	want := map[int]pdf.Rect{ // on a shown page of 400 by 300 whose crop box begins at (30, -20)
		0:   {LLX: 40, LLY: 0, URX: 140, URY: 40},
		90:  {LLX: 30 + 300 - 60, LLY: -20 + 10, URX: 30 + 300 - 20, URY: -20 + 110},
		180: {LLX: 30 + 400 - 110, LLY: -20 + 300 - 60, URX: 30 + 400 - 10, URY: -20 + 300 - 20},
		270: {LLX: 30 + 20, LLY: -20 + 400 - 110, URX: 30 + 60, URY: -20 + 400 - 10},
	}
	for rotate, rect := range want {
		require.Equal(t, rect, shown(400, 300, rotate, 1).ToUser(b), "rotation %d", rotate)
		for _, unit := range []float64{0.5, 1, 2} {
			page := shown(400, 300, rotate, unit)
			got := page.FromUser(page.ToUser(b))
			require.InDeltaSlice(t, []float64{b.LLX, b.LLY, b.URX, b.URY}, []float64{got.LLX, got.LLY, got.URX, got.URY}, 1e-9)
		}
	}
}
